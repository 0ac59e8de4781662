/*
 * Lowering of random policies, valid and malformed: it never throws, the order of its input does not matter, its program survives JSON,
 * and dropping malformed values never allows more. fast-check prints the seed on failure.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type {
  Action,
  AuthorizationPolicy,
  AuthorizationRule,
  Condition,
  Operation,
  Policy,
  RequestAuthentication,
  Source,
} from '../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../src/api/mesh-config.ts';
import { normalizePath } from '../../src/http/normalize/normalize-path.ts';
import { prepareRequest } from '../../src/http/normalize/prepare.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import { type LowerResult, lowerPolicies } from '../../src/policy/lower/lower-policies.ts';
import { caller, factsOf, head } from './engine-arbitraries.ts';

const values = fc.array(
  fc.constantFrom(
    '',
    '*',
    'a',
    'a*',
    '*a',
    'GET',
    '/a',
    '/{*}',
    '{*}',
    '/{**}/x',
    '10.0.0.0/8',
    '10.0.0.1/33',
    '::1',
    '80',
    '65536',
    'cluster.local/ns/a/sa/b',
    'i/s',
    'a/b/c',
  ),
  {
    maxLength: 3,
  },
);

function fields<K extends string>(...names: readonly K[]): fc.Arbitrary<Partial<Record<K, string[]>>> {
  const model = Object.fromEntries(names.map((name) => [name, values])) as Record<K, typeof values>;
  return fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<Record<K, string[]>>>;
}

const source: fc.Arbitrary<Source> = fields(
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'namespaces',
  'serviceAccounts',
  'notTrustDomains',
  'ipBlocks',
  'notRemoteIpBlocks',
);
const operation: fc.Arbitrary<Operation> = fields('hosts', 'ports', 'notPorts', 'methods', 'paths', 'notPaths');
const condition: fc.Arbitrary<Condition> = fc.record({
  key: fc.constantFrom(
    'request.headers[x-a]',
    'request.headersX[a]',
    'request.auth.claims[a][b]',
    'request.auth.claims[a][]',
    'source.ip',
    'connection.sni',
    'nonsense',
    'experimental.envoy.filters.a[b]',
    '',
  ),
  values,
  notValues: values,
});
const rule: fc.Arbitrary<AuthorizationRule> = fc.record(
  {
    from: fc.array(fc.record({ source }, { requiredKeys: [] }), { maxLength: 2 }),
    to: fc.array(fc.record({ operation }, { requiredKeys: [] }), { maxLength: 2 }),
    when: fc.array(condition, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const authorization: fc.Arbitrary<AuthorizationPolicy> = fc.record({
  kind: fc.constant('AuthorizationPolicy' as const),
  metadata: fc.record({ name: names, namespace: fc.constantFrom('foo', 'istio-system') }),
  spec: fc.record({
    action: fc.constantFrom<Action>('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    provider: fc.constantFrom({ name: 'ext' }, { name: 'other' }),
    rules: fc.array(rule, { maxLength: 3 }),
  }),
});
const authentication: fc.Arbitrary<RequestAuthentication> = fc.record({
  kind: fc.constant('RequestAuthentication' as const),
  metadata: fc.record({ name: names, namespace: fc.constantFrom('foo', 'istio-system') }),
  spec: fc.record({ jwtRules: fc.array(fc.record({ issuer: fc.constantFrom('', 'i', 'j') }, { requiredKeys: [] }), { maxLength: 3 }) }),
});
/** Namespace and name are unique per kind, as in a cluster. */
const policies: fc.Arbitrary<Policy[]> = fc.uniqueArray(fc.oneof(authorization, authentication), {
  maxLength: 6,
  selector: ({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`,
});

const MESH: MeshConfig = {
  ...DEFAULT_MESH_CONFIG,
  trustDomainAliases: ['old'],
  extensionProviders: [{ name: 'ext', protocol: 'grpc', service: 'ext.foo', port: 1, timeoutMs: 1, failOpen: false, statusOnError: 403 }],
};

function lower(list: readonly Policy[]): LowerResult {
  return lowerPolicies({ namespace: 'foo', policies: list, mesh: MESH, keySetId: (jwtRule) => jwtRule.issuer ?? '' });
}

describe('lowering random policies', () => {
  it('gives the same program for every order of the policies, and the program survives JSON', () => {
    const shuffled = policies.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        const { program, findings } = lower(list);
        expect(lower(other)).to.deep.equal({ program, findings });
        expect(JSON.parse(JSON.stringify(program))).to.deep.equal(program);
      }),
      { numRuns: 400 },
    );
  });

  it('gives a program that decides in the same way after a round trip through JSON', () => {
    fc.assert(
      fc.property(policies, caller, head, (list, who, what) => {
        const { program } = lower(list);
        const facts = factsOf(who, what);
        const [one, other] = [createLinearEvaluator(program), createLinearEvaluator(JSON.parse(JSON.stringify(program)))];
        expect(other.decide(facts)).to.deep.equal(one.decide(facts));
        expect(other.custom(facts, 'tcp')).to.deep.equal(one.custom(facts, 'tcp'));
      }),
      { numRuns: 400 },
    );
  });

  it('gives a trace that matches where the decision does', () => {
    fc.assert(
      fc.property(policies, caller, head, (list, who, what) => {
        const evaluator = createLinearEvaluator(lower(list).program);
        const facts = factsOf(who, what);
        const decision = evaluator.decide(facts);
        const matched = (action: Action): boolean =>
          evaluator.trace(facts).some((trace) => trace.action === action && !trace.dryRun && trace.matched);
        expect(matched('DENY')).to.equal(decision.reason === 'deny-rule');
        if (decision.reason !== 'deny-rule' && decision.reason !== 'no-allow-policy') expect(matched('ALLOW')).to.equal(decision.allowed);
      }),
      { numRuns: 400 },
    );
  });
});

const piece = fc.constantFrom(
  '/',
  '.',
  '..',
  '%2e',
  '%2F',
  '%5c',
  '\\',
  ';',
  '%',
  '%4',
  '41',
  '%25',
  '30',
  'a',
  '"',
  '?',
  '#',
  '%00',
  '*',
  '[',
  '{',
);
const path = fc.array(piece, { maxLength: 14 }).map((pieces) => `/${pieces.join('')}`);

describe('preparing random requests', () => {
  const modes = fc.constantFrom('NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES');

  it('leaves no dot segment and no backslash in a normalized path', () => {
    fc.assert(
      fc.property(path, fc.constantFrom('BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'), (target, mode) => {
        const normalized = normalizePath(target, mode)?.split('?')[0];
        if (normalized === undefined) return;
        expect(normalized.startsWith('/')).to.equal(true);
        expect(normalized).not.to.match(/\\|(^|\/)\.\.?(\/|$)/);
      }),
      { numRuns: 5000 },
    );
  });

  it('never throws, and never changes its input', () => {
    const name = fc.constantFrom(
      'Host',
      'host',
      'Connection',
      'Upgrade',
      'TE',
      'Referer',
      'X-Forwarded-For',
      'X-Forwarded-Client-Cert',
      'Accept',
      'x-a',
    );
    const value = fc.constantFrom('', 'a', 'upgrade, x-a', 'websocket', 'te', 'http://a/', '1.2.3.4', 'h2c', ':', 'host');
    const connection = { sourceIp: '10.0.0.9', destinationIp: '10.1.1.1', destinationPort: 8080, sni: '', tls: false };
    fc.assert(
      fc.property(path, modes, fc.array(fc.tuple(name, value), { maxLength: 8 }), (target, mode, pairs) => {
        const headers = Object.freeze(pairs.flat());
        const preparation = prepareRequest(
          { version: '1.1', method: 'GET', target, headers, hasBody: false, connection },
          mode as MeshConfig['pathNormalization'],
        );
        expect(preparation.kind).to.be.oneOf(['ok', 'reply']);
      }),
      { numRuns: 3000 },
    );
  });
});
