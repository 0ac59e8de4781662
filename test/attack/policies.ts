/*
 * The policies of the attack set: as a bundle for the agent, as Istio compiles them for Envoy, and as a plain function for requests that
 * reached the application.
 */
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { ISSUER, JWKS } from '../bench/support/demo-token.ts';
import { selectFrom } from '../support/select-policies.ts';

const PRINCIPAL = `${ISSUER}/${ISSUER}`;

const SPECS: readonly (readonly [kind: string, name: string, spec: object])[] = [
  ['RequestAuthentication', 'jwt', { jwtRules: [{ issuer: ISSUER, jwks: JWKS }] }],
  [
    'AuthorizationPolicy',
    'deny',
    {
      action: 'DENY',
      rules: [
        { to: [{ operation: { paths: ['/admin', '/admin/*'] } }] },
        { to: [{ operation: { hosts: ['internal', 'internal:*'] } }] },
        { when: [{ key: 'request.headers[x-block]', values: ['*'] }] },
      ],
    },
  ],
  [
    'AuthorizationPolicy',
    'allow',
    {
      rules: [
        { to: [{ operation: { notPaths: ['/private/*'] } }] },
        { from: [{ source: { requestPrincipals: [PRINCIPAL] } }], to: [{ operation: { paths: ['/private/*'] } }] },
      ],
    },
  ],
];

function policyOf(kind: string, name: string, spec: object): Policy {
  const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace: 'foo' }, spec });
  if (value === undefined) throw new Error(findings.map(({ message }) => message).join('; '));
  return value;
}

/** The bundle of the policies. */
export function bundleOfPolicies(): Bundle {
  const { bundle } = compileWorkload({
    workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
    labelSets: [{ app: 'httpbin' }],
    policiesFor: selectFrom(SPECS.map(([kind, name, spec]) => policyOf(kind, name, spec))),
    mesh: DEFAULT_MESH_CONFIG,
    keySetOf: () => undefined,
  });
  return bundle;
}

const typed = (name: string, value: object): object => ({ '@type': `type.googleapis.com/envoy.extensions.filters.http.${name}`, ...value });
const path = (match: object): object => ({ url_path: { path: match } });
const authority = (match: object): object => ({ header: { name: ':authority', string_match: { ...match, ignore_case: true } } });
const claim = (name: string): object => ({
  metadata: {
    filter: 'envoy.filters.http.jwt_authn',
    path: [{ key: 'payload' }, { key: name }],
    value: { string_match: { exact: ISSUER } },
  },
});
const rbac = (action: 'ALLOW' | 'DENY', rules: readonly object[]): object =>
  typed('rbac.v3.RBAC', {
    rules: { action, policies: Object.fromEntries(rules.map((rule, at) => [`ns[foo]-policy[${action.toLowerCase()}]-rule[${at}]`, rule])) },
  });

/** Envoy's HTTP filters for the same policies, as istiod writes them. */
export function envoyFilters(): readonly object[] {
  const anyone = [{ any: true }];
  const provider = { issuer: ISSUER, local_jwks: { inline_string: JWKS }, payload_in_metadata: 'payload' };
  const requires = { requires_any: { requirements: [{ provider_name: 'origins-0' }, { allow_missing: {} }] } };
  return [
    {
      name: 'envoy.filters.http.jwt_authn',
      typed_config: typed('jwt_authn.v3.JwtAuthentication', {
        providers: { 'origins-0': provider },
        rules: [{ match: { prefix: '/' }, requires }],
        bypass_cors_preflight: true,
      }),
    },
    {
      name: 'envoy.filters.http.rbac',
      typed_config: rbac('DENY', [
        { permissions: [path({ exact: '/admin' }), path({ prefix: '/admin/' })], principals: anyone },
        { permissions: [authority({ exact: 'internal' }), authority({ prefix: 'internal:' })], principals: anyone },
        { permissions: [{ any: true }], principals: [{ header: { name: 'x-block', present_match: true } }] },
      ]),
    },
    {
      name: 'envoy.filters.http.rbac-allow',
      typed_config: rbac('ALLOW', [
        { permissions: [{ not_rule: path({ prefix: '/private/' }) }], principals: anyone },
        { permissions: [path({ prefix: '/private/' })], principals: [{ and_ids: { ids: [claim('iss'), claim('sub')] } }] },
      ]),
    },
  ];
}

/** What makes the policies deny this request; undefined: they allow it. Independent of the code under test. */
export function denial(target: string, host: string, names: readonly string[], principal: string): string | undefined {
  const plain = target.replace(/[?#].*$/s, '');
  if (plain === '/admin' || plain.startsWith('/admin/')) return 'path /admin';
  if (/^internal(?::|$)/i.test(host)) return 'host internal';
  if (names.includes('x-block')) return 'header x-block';
  if (plain.startsWith('/private/') && principal !== PRINCIPAL) return 'path /private/ without its principal';
  return undefined;
}
