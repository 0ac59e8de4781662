/*
 * Manifests of workloads and policies in the shapes of Istio's documentation, in ten namespaces.
 */
import { stringify } from 'yaml';

const NAMESPACES = 10;
const RULES = 3;

interface Written {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly spec: object;
}

function workload(namespace: string, app: string): Written {
  const template = { metadata: { labels: { app } }, spec: { serviceAccountName: app, containers: [{ name: app, image: app }] } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: app, namespace },
    spec: { selector: { matchLabels: { app } }, template },
  };
}

function jwt(namespace: string, app: string): Written {
  const issuer = `https://${app}.idp.example`;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: `jwt-${app}`, namespace },
    spec: { selector: { matchLabels: { app } }, jwtRules: [{ issuer, jwksUri: `${issuer}/keys`, forwardOriginalToken: true }] },
  };
}

function rule(namespace: string, app: string, at: number): object {
  const kind = at % 5;
  const operation = { methods: ['GET', 'POST'].slice(0, 1 + (at % 2)), paths: [`/${app}/api/v${at}/*`, `/${app}/res${at}`] };
  switch (kind) {
    case 0:
      return { from: [{ source: { principals: [`cluster.local/ns/${namespace}/sa/client${at}`] } }], to: [{ operation }] };
    case 1:
      return { from: [{ source: { namespaces: [`team-${at}`, 'monitoring'] } }], to: [{ operation: { ...operation, ports: ['8080'] } }] };
    case 2:
      return {
        from: [{ source: { requestPrincipals: [`https://${app}.idp.example/*`] } }],
        to: [{ operation }],
        when: [{ key: 'request.auth.claims[groups]', values: [`group-${at}`, 'admins'] }],
      };
    case 3:
      return { from: [{ source: { ipBlocks: [`10.${at % 200}.0.0/16`], notIpBlocks: [`10.${at % 200}.9.0/24`] } }], to: [{ operation }] };
    default:
      return {
        to: [{ operation: { ...operation, hosts: [`${app}.example.com`, `*.${app}.internal`] } }],
        when: [{ key: 'request.headers[x-tenant]', values: [`tenant-${at}`] }],
      };
  }
}

function authorization(namespace: string, app: string, at: number): Written {
  const rules = Array.from({ length: RULES }, (_, index) => rule(namespace, app, at * RULES + index));
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `policy-${at}`, namespace },
    spec: { selector: { matchLabels: { app } }, action: at % 4 === 3 ? 'DENY' : 'ALLOW', rules },
  };
}

/** Files by name: `policies` policies, a fifth of them RequestAuthentication, and their workloads. */
export function checkedManifests(policies: number): readonly (readonly [name: string, text: string])[] {
  const written = Array.from({ length: policies }, (_, at): Written => {
    const [namespace, app] = [`ns-${at % NAMESPACES}`, `app-${Math.floor(at / 5)}`];
    return at % 5 === 0 ? jwt(namespace, app) : authorization(namespace, app, at);
  });
  const workloads = Array.from({ length: Math.ceil(policies / 5) }, (_, app) =>
    Array.from({ length: NAMESPACES }, (_each, at) => workload(`ns-${at}`, `app-${app}`)),
  ).flat();
  const document = (all: readonly object[]): string => all.map((one) => stringify(one)).join('---\n');
  return [...written.map((one, at) => [`policy-${at}.yaml`, document([one])] as const), ['workloads.yaml', document(workloads)] as const];
}
