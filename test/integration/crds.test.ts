/*
 * The generated CRDs on a real API server: it accepts them, kubectl shows them correctly, and it accepts and rejects the same
 * objects as Istio's CRDs in the recordings and as our CRD stage.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { parse } from 'yaml';
import { validateCrd } from '../../src/api/istio/validate-crd.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';

interface Resource {
  readonly apiVersion: string;
  readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly [key: string]: unknown;
}

interface Recording {
  readonly resources: readonly Resource[];
  readonly istio: { readonly rejected?: readonly { readonly resource: string; readonly stage: string }[] };
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message?: string }[] };
  };
}

const FOLDERS = ['../conformance/cases/', '../conformance/random/', '../../../shared/conformance/istio/'].map(
  (path) => new URL(path, import.meta.url),
);
const CRDS = new URL('../../crds/', import.meta.url);

let controlPlane: ControlPlane;
let agent: Agent;
let cache = 'before';

async function create(path: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      `${controlPlane.url}${path}`,
      { method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) as Answer['body'] });
        });
      },
    );
    call.on('error', reject);
    call.end(JSON.stringify(body));
  });
}

async function dryRun(resource: Resource): Promise<Answer> {
  const { apiVersion, kind, metadata } = resource;
  const plural = kind === 'RequestAuthentication' ? 'requestauthentications' : 'authorizationpolicies';
  return create(`/apis/${apiVersion}/namespaces/${metadata.namespace}/${plural}?dryRun=All`, resource);
}

function kubectl(...args: readonly string[]): string {
  return execFileSync(
    controlPlane.kubectlPath,
    [`--kubeconfig=${controlPlane.kubeconfigPath}`, `--cache-dir=${controlPlane.stateDir}/kubectl-cache-${cache}`, ...args],
    { encoding: 'utf8' },
  );
}

/** Discovery and OpenAPI follow an established CRD with a delay; kubectl caches them, so each attempt uses a new cache. */
async function untilExplained(...paths: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt++) {
    const isThere = paths.map((path) => {
      const args = [`--kubeconfig=${controlPlane.kubeconfigPath}`, `--cache-dir=${controlPlane.stateDir}/try-${attempt}`, 'explain', path];
      return spawnSync(controlPlane.kubectlPath, args).status === 0;
    });
    if (isThere.every(Boolean)) return;
    await delay(500);
  }
  throw new Error(`no explanation: ${paths.join(', ')}`);
}

function recordings(): readonly Recording[] {
  return FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Recording),
  );
}

function policy(kind: Resource['kind'], spec: unknown): Resource {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { name: 'p', namespace: 'default' }, spec };
}

const rule = (members: object): unknown => ({ jwtRules: [members] });
const source = (members: object): unknown => ({ rules: [{ from: [{ source: members }] }] });
const many = (count: number, item: unknown): unknown[] => Array.from({ length: count }, () => item);
const refs = (...items: readonly object[]): unknown => ({ targetRefs: items });

const REQUEST_AUTHENTICATION_SPECS: Readonly<Record<string, unknown>> = {
  'no spec at all': undefined,
  'an empty spec': {},
  'spec is a list': [],
  'spec is null': null,
  'jwtRules null': { jwtRules: null },
  'a label value null': { selector: { matchLabels: { a: null } } },
  'issuer null': rule({ issuer: null, jwks: null, jwksUri: 'https://a' }),
  'selector null next to targetRefs': { selector: null, targetRefs: [] },
  'jwtRules with a null': { jwtRules: [null] },
  'an empty issuer': rule({ issuer: '' }),
  'an unknown member': rule({ issuer: 'a', colour: 'red' }),
  'issuer a number': rule({ issuer: 5 }),
  'both kinds of keys, empty': rule({ jwks: '', jwksUri: 'https://a' }),
  'both spellings of the URL': rule({ jwks_uri: 'https://a', jwksUri: 'https://a' }),
  'the other spelling, bad': rule({ jwks_uri: 'ftp://a' }),
  'a URL in capitals': rule({ jwksUri: 'HTTPS://A' }),
  'a URL with a bad port': rule({ jwksUri: 'https://a:x/' }),
  'a URL with a bad escape': rule({ jwksUri: 'https://a/%zz' }),
  'a URL with a blank in the host': rule({ jwksUri: 'https://a b/' }),
  'a URL with a blank in the path': rule({ jwksUri: 'https://a/b c' }),
  'a URL with a control character': rule({ jwksUri: 'https://a/\u0001' }),
  'a URL without host': rule({ jwksUri: 'https:' }),
  'a URL with IPv6': rule({ jwksUri: 'https://[::1]:8443/keys' }),
  'a URL with broken IPv6': rule({ jwksUri: 'https://[::1/keys' }),
  'a URL with user info': rule({ jwksUri: 'https://u:p@a/keys' }),
  'a path as URL': rule({ jwksUri: '/keys' }),
  'a URL with a fragment': rule({ jwksUri: 'https://a/#x y' }),
  'a URL that is too long': rule({ jwksUri: `https://a/${'x'.repeat(2048)}` }),
  'timeout without unit': rule({ timeout: '5' }),
  'timeout apple': rule({ timeout: 'apple' }),
  'timeout empty': rule({ timeout: '' }),
  'timeout of two parts': rule({ timeout: '1m30.5s' }),
  'timeout too short': rule({ timeout: '999us' }),
  'timeout negative': rule({ timeout: '-5s' }),
  'timeout with sign': rule({ timeout: '+1ms' }),
  'timeout beyond a number': rule({ timeout: '9999999h' }),
  'too many claims': rule({ spaceDelimitedClaims: many(65, 'a') }),
  'just enough claims': rule({ spaceDelimitedClaims: many(64, 'a') }),
  'presence unknown': rule({ presence: 'ALWAYS' }),
  'presence REQUIRED': rule({ presence: 'REQUIRED' }),
  'a flag as text': rule({ forwardOriginalToken: 'true' }),
  'a header of bad characters': rule({ outputClaimToHeaders: [{ header: 'a b', claim: 'c' }] }),
  'a header without claim': rule({ outputClaimToHeaders: [{ header: 'a' }] }),
  'too many rules': { jwtRules: many(4097, { issuer: 'a' }) },
  'a wildcard as label value': { selector: { matchLabels: { a: 'x*' } } },
  'a wildcard as label key': { selector: { matchLabels: { 'a*': 'x' } } },
  'an empty label key': { selector: { matchLabels: { '': 'x' } } },
  'a label value that is too long': { selector: { matchLabels: { a: 'x'.repeat(64) } } },
  'selector and targetRef, both empty': { selector: {}, targetRefs: [] },
  'a target without name': refs({ kind: 'Gateway' }),
  'a target with an empty name': refs({ kind: 'Gateway', name: '' }),
  'a target of a bad group': refs({ group: 'A_b', kind: 'Gateway', name: 'a' }),
  'a target of a bad kind': refs({ kind: '9', name: 'a' }),
  'a target elsewhere': refs({ kind: 'Gateway', name: 'a', namespace: 'b' }),
  'a target in an empty namespace': refs({ kind: 'Gateway', name: 'a', namespace: '' }),
  'too many targets': refs(...(many(17, { kind: 'Gateway', name: 'a' }) as object[])),
  'a single target elsewhere': { targetRef: { kind: 'Gateway', name: 'a', namespace: 'b' } },
};

const AUTHORIZATION_POLICY_SPECS: Readonly<Record<string, unknown>> = {
  'an empty spec': {},
  'action unknown': { action: 'PERMIT' },
  'action in small letters': { action: 'allow' },
  'action a number': { action: 1 },
  'provider empty': { action: 'CUSTOM', provider: {} },
  'rules with a null': { rules: [null] },
  'an empty rule': { rules: [{}] },
  'empty lists': { rules: [{ from: [], to: [], when: [] }] },
  'a port as number': { rules: [{ to: [{ operation: { ports: [80] } }] }] },
  'a path as null': { rules: [{ to: [{ operation: { paths: [null] } }] }] },
  'accounts with namespaces': source({ serviceAccounts: ['a'], namespaces: ['b'] }),
  'negative accounts with negative principals': source({ notServiceAccounts: ['a'], notPrincipals: ['b'] }),
  'empty accounts with empty principals': source({ serviceAccounts: [], principals: [] }),
  'accounts with trust domains': source({ serviceAccounts: ['a'], trustDomains: ['b'] }),
  'too many accounts': source({ serviceAccounts: many(17, 'a') }),
  'an account that is too long': source({ serviceAccounts: ['a'.repeat(321)] }),
  'too many rules': { rules: many(513, {}) },
  'too many sources': { rules: [{ from: many(513, {}) }] },
  'many operations': { rules: [{ to: many(600, {}) }] },
  'a condition without key': { rules: [{ when: [{ values: ['a'] }] }] },
  'a condition with an empty key': { rules: [{ when: [{ key: '', values: ['a'] }] }] },
};

const SPECS = [
  ...Object.entries(REQUEST_AUTHENTICATION_SPECS).map(([name, spec]) => ({ name, resource: policy('RequestAuthentication', spec) })),
  ...Object.entries(AUTHORIZATION_POLICY_SPECS).map(([name, spec]) => ({ name, resource: policy('AuthorizationPolicy', spec) })),
];

describe('CRDs on a real API server', function () {
  this.timeout(120_000);

  before(async () => {
    controlPlane = await startControlPlane();
    const config = parse(readFileSync(controlPlane.kubeconfigPath, 'utf8')) as {
      readonly users: readonly { readonly user: Readonly<Record<string, string>> }[];
    };
    const user = config.users[0]?.user ?? {};
    const secret = (name: string): Buffer =>
      user[name] === undefined ? Buffer.from(user[`${name}-data`] ?? '', 'base64') : readFileSync(user[name]);
    agent = new Agent({
      keepAlive: true,
      maxSockets: 8,
      ca: readFileSync(controlPlane.caPath),
      cert: secret('client-certificate'),
      key: secret('client-key'),
    });
    for (const file of readdirSync(CRDS)) kubectl('apply', '-f', new URL(file, CRDS).pathname);
    kubectl('wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all');
    await untilExplained('ap.spec.rules', 'ra.spec.jwtRules');
    cache = 'after';
  });

  after(async () => {
    agent.destroy();
    await controlPlane.stop();
  });

  it('are established without warnings of the API server', () => {
    const crds = JSON.parse(kubectl('get', 'crd', '-o', 'json')) as {
      readonly items: readonly {
        readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
      }[];
    };

    expect(crds.items).to.have.length(2);
    for (const crd of crds.items) {
      expect(crd.status.conditions.find(({ type }) => type === 'NonStructuralSchema')).to.equal(undefined);
      expect(crd.status.conditions.find(({ type }) => type === 'NamesAccepted')?.status).to.equal('True');
    }
  });

  it('explain their fields by short name in both versions', () => {
    const explained = kubectl('explain', 'ap.spec.rules.from.source');

    expect(explained).to.include('requestPrincipals');
    expect(explained).to.include('Identities from the verified token');
    expect(kubectl('explain', 'ra.spec.jwtRules', '--api-version=security.istio.io/v1beta1')).to.include('forwardOriginalToken');
  });

  it('describe every field', () => {
    for (const file of readdirSync(CRDS)) {
      const crd = parse(readFileSync(new URL(file, CRDS), 'utf8')) as {
        readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: unknown } }[] };
      };
      for (const version of crd.spec.versions) expect(undescribed(version.schema.openAPIV3Schema, '')).to.deep.equal([]);
    }
  });

  it('have the same columns and categories as those of Istio', () => {
    kubectl('create', 'namespace', 'columns');
    for (const [name, spec] of Object.entries({ p: { action: 'DENY', rules: [{}] }, q: { rules: [{}] }, r: {} })) {
      const input = JSON.stringify({ ...policy('AuthorizationPolicy', spec), metadata: { name, namespace: 'columns' } });
      execFileSync(controlPlane.kubectlPath, [`--kubeconfig=${controlPlane.kubeconfigPath}`, 'create', '-n', 'columns', '-f', '-'], {
        input,
      });
    }

    const table = kubectl('get', 'ap', '-n', 'columns');
    expect(table).to.match(/^NAME +ACTION +READY +AGE\np +DENY/);
    // Also where the policy names no action.
    expect(table).to.match(/\nq +ALLOW .*\nr +ALLOW /);
    expect(kubectl('get', 'istio-io', '-n', 'columns', '-o', 'name')).to.include('authorizationpolicy.security.istio.io/p');
  });

  it('accept and reject the same objects as the recordings', async () => {
    const all = recordings();
    const namespaces = new Set(all.flatMap(({ resources }) => resources.map(({ metadata }) => metadata.namespace)));
    for (const name of namespaces) await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    expect(all.length).to.be.greaterThan(100);

    const work = all.flatMap(({ resources, istio }) =>
      resources
        .filter(({ kind }) => kind === 'RequestAuthentication' || kind === 'AuthorizationPolicy')
        .map((resource) => ({ resource, refused: istio.rejected ?? [] })),
    );
    const checkOne = async ({ resource, refused }: (typeof work)[number]): Promise<void> => {
      const id = `${resource.kind}/${resource.metadata.namespace}/${resource.metadata.name}`;
      const answer = await dryRun(resource);
      const isRefused = refused.some((entry) => entry.resource === id && entry.stage === 'crd');
      expect(answer.status, `${id}: ${answer.body.message ?? ''}`).to.equal(isRefused ? 422 : 201);
    };
    for (let start = 0; start < work.length; start += 8) await Promise.all(work.slice(start, start + 8).map(checkOne));
  });

  for (const { name, resource } of SPECS) {
    it(`agree with the CRD stage about a ${resource.kind} with ${name}`, async () => {
      const answer = await dryRun(resource);
      const findings = validateCrd(resource.kind, resource);

      expect(answer.status, answer.body.message).to.equal(findings.length === 0 ? 201 : 422);
      if (findings.length === 0) return;
      // The schema reports a label as `matchLabels.a`, a CEL rule as `matchLabels[a]`.
      const theirs = new Set((answer.body.details?.causes ?? []).map(({ field }) => field?.replace('matchLabels.a', 'matchLabels[a]')));
      expect([...theirs], answer.body.message).to.include(findings[0]?.path);
    });
  }
});

/** Paths of properties without a description; array elements and map values do not need one. */
function undescribed(schema: unknown, path: string): readonly string[] {
  const {
    properties = {},
    items,
    additionalProperties,
  } = schema as {
    readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
    readonly items?: unknown;
    readonly additionalProperties?: unknown;
  };
  const own = Object.entries(properties).flatMap(([name, property]) => [
    ...(property.description === undefined ? [`${path}.${name}`] : []),
    ...undescribed(property, `${path}.${name}`),
  ]);
  const inner = [items, additionalProperties].filter((part) => part !== undefined).flatMap((part) => undescribed(part, `${path}[]`));
  return [...own, ...inner];
}
