/*
 * Replacements of policies over their budget: whatever the whole program denies, the program with replacements denies, for each action, with
 * tokens, on HTTP and TCP. Requests pass the filter chain of the agent.
 */
import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { denyAllVersion, denyingVersion } from '../../src/api/istio/denying-version.ts';
import type { Action, AuthorizationPolicy, JwtRule, Policy, RequestAuthentication } from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../src/api/mesh-config.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { compileWorkload } from '../../src/compile/compile-workload.ts';
import { createExplainedChain, evaluateToEnd, type FinalVerdict } from '../../src/explain/evaluate-to-end.ts';
import type { ConnectionVerdict } from '../../src/filters/evaluate-connection.ts';
import type { RawRequest } from '../../src/http/heads.ts';
import { caller } from './engine-arbitraries.ts';

const SECRETS: Readonly<Record<string, string>> = { i: 'secret-of-i', j: 'secret-of-j' };
const NOW = 1_700_000_000;

function jwks(issuer: string): string {
  const k = Buffer.from(SECRETS[issuer] ?? '').toString('base64url');
  return JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', kid: issuer, k }] });
}

function token(issuer: string, isValid: boolean): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', kid: issuer })}.${part({ iss: issuer, sub: 's', exp: NOW + 60, role: 'admin' })}`;
  const signature = createHmac('sha256', isValid ? (SECRETS[issuer] ?? '') : 'other')
    .update(signed)
    .digest('base64url');
  return `${signed}.${signature}`;
}

const MESH: MeshConfig = {
  ...DEFAULT_MESH_CONFIG,
  extensionProviders: [{ name: 'ext', protocol: 'grpc', service: 'ext.foo', port: 1, timeoutMs: 1, failOpen: false, statusOnError: 403 }],
};

const matches = {
  paths: fc.subarray(['/a', '/a/*', '*/b', '/{*}/c'], { minLength: 1 }),
  principals: fc.subarray(['i/s', 'j/*', '*'], { minLength: 1 }),
};
const rule: fc.Arbitrary<NonNullable<AuthorizationPolicy['spec']['rules']>[number]> = fc.oneof(
  fc.constant({}),
  matches.paths.map((paths) => ({ to: [{ operation: { paths } }] })),
  matches.paths.map((notPaths) => ({ to: [{ operation: { notPaths } }] })),
  matches.principals.map((requestPrincipals) => ({ from: [{ source: { requestPrincipals } }] })),
  matches.principals.map((notRequestPrincipals) => ({ from: [{ source: { notRequestPrincipals } }] })),
  fc.constantFrom('admin', 'other').map((value) => ({ when: [{ key: 'request.auth.claims[role]', values: [value] }] })),
  fc.constantFrom('admin', 'forged').map((value) => ({ when: [{ key: 'request.headers[x-role]', notValues: [value] }] })),
  fc.constantFrom(['10.0.0.0/8'], ['::/0']).map((ipBlocks) => ({ from: [{ source: { ipBlocks } }] })),
);
const metadata = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  namespace: fc.constantFrom('foo', 'istio-system'),
  annotations: fc.constantFrom({}, {}, { 'istio.io/dry-run': 'true' }, { 'istio.io/dry-run': 'nonsense' }),
});
const authorization: fc.Arbitrary<AuthorizationPolicy> = fc.record({
  kind: fc.constant('AuthorizationPolicy' as const),
  metadata,
  spec: fc.record({
    action: fc.constantFrom<Action>('ALLOW', 'ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    provider: fc.constantFrom({ name: 'ext' }, { name: 'unknown' }),
    rules: fc.array(rule, { maxLength: 3 }),
  }),
});
const jwtRule: fc.Arbitrary<JwtRule> = fc
  .record({
    issuer: fc.constantFrom('i', 'j'),
    from: fc.constantFrom<Partial<JwtRule>>({}, { fromHeaders: [{ name: 'x-token' }] }, { fromParams: ['t'] }),
    more: fc.constantFrom<Partial<JwtRule>>(
      {},
      {},
      { presence: 'REQUIRED' },
      { outputClaimToHeaders: [{ header: 'x-role', claim: 'role' }] },
    ),
    usable: fc.boolean(),
  })
  .map(({ issuer, from, more, usable }) => ({ issuer, jwks: jwks(usable ? issuer : 'none'), ...from, ...more }));
const authentication: fc.Arbitrary<RequestAuthentication> = fc.record({
  kind: fc.constant('RequestAuthentication' as const),
  metadata,
  spec: fc.record({ jwtRules: fc.array(jwtRule, { minLength: 1, maxLength: 2 }) }),
});
const policies: fc.Arbitrary<Policy[]> = fc.uniqueArray(fc.oneof(authorization, authorization, authentication), {
  minLength: 1,
  maxLength: 6,
  selector: ({ kind, metadata: { namespace, name } }) => `${kind}/${namespace}/${name}`,
});
/** By policy: kept, or replaced in one of two ways. */
const choices = fc.array(fc.constantFrom('keep', 'replace', 'deny'), { minLength: 6, maxLength: 6 });

const credentials = fc.constantFrom<readonly (readonly [issuer: string, isValid: boolean])[]>(
  [],
  [['i', true]],
  [['i', false]],
  [['j', true]],
);
const request: fc.Arbitrary<RawRequest> = fc
  .record({
    path: fc.constantFrom('/a', '/a/x', '/x/b', '/x/c', '/other'),
    place: fc.constantFrom('authorization', 'x-token', 't'),
    tokens: credentials,
    forged: fc.boolean(),
  })
  .map(({ path, place, tokens: [credential], forged }) => {
    const text = credential === undefined ? undefined : token(...credential);
    const header = text === undefined || place === 't' ? [] : [place, place === 'authorization' ? `Bearer ${text}` : text];
    return {
      method: 'GET',
      target: text !== undefined && place === 't' ? `${path}?t=${text}` : path,
      headers: ['host', 'h', ...header, ...(forged ? ['x-role', 'forged'] : [])],
      version: '1.1' as const,
      hasBody: false,
      connection: { sourceIp: '10.0.0.1', destinationIp: '10.0.0.2', destinationPort: 80, sni: '', tls: false },
    };
  });

function compile(list: readonly Policy[]): Bundle {
  return compileWorkload({
    workload: { namespace: 'foo', kind: 'deployment', name: 'w' },
    labelSets: [{}],
    policiesFor: () => list,
    mesh: MESH,
    keySetOf: () => undefined,
  }).bundle;
}

function replaced(list: readonly Policy[], choice: readonly string[]): readonly Policy[] {
  return list.flatMap((policy, at) => {
    if (choice[at] === 'keep') return [policy];
    return choice[at] === 'deny' ? [denyAllVersion(policy)] : (denyingVersion(policy) ?? []);
  });
}

function verdictOf({ programs: [program], keySets }: Bundle, what: RawRequest, response: 'allow' | 'deny'): FinalVerdict {
  if (program === undefined) throw new Error('no program');
  return evaluateToEnd(createExplainedChain({ program, keySets }), what, NOW, response).final;
}

describe('replacements of policies over their budget', () => {
  it('never forward a request that the whole program denies', () => {
    let denied = 0;
    let forwarded = 0;
    fc.assert(
      fc.property(policies, choices, request, fc.constantFrom('allow', 'deny'), (list, choice, what, response) => {
        const whole = verdictOf(compile(list), what, response);
        const reduced = verdictOf(compile(replaced(list, choice)), what, response);
        if (whole.kind === 'forward') forwarded += 1;
        else {
          denied += 1;
          expect(reduced.kind, JSON.stringify(list)).to.equal('reply');
        }
      }),
      { numRuns: 2500 },
    );
    expect(Math.min(denied, forwarded)).to.be.greaterThan(250);
  });

  it('never accept a connection that the whole program denies', () => {
    fc.assert(
      fc.property(policies, choices, caller, fc.boolean(), (list, choice, who, response) => {
        const decide = ({ programs: [program], keySets }: Bundle): ConnectionVerdict['kind'] => {
          if (program === undefined) throw new Error('no program');
          const verdict = createExplainedChain({ program, keySets }).evaluateConnection(who.connection);
          return verdict.kind === 'check' ? verdict.resume(response).kind : verdict.kind;
        };
        if (decide(compile(list)) === 'deny') expect(decide(compile(replaced(list, choice)))).to.equal('deny');
      }),
      { numRuns: 500 },
    );
  });
});
