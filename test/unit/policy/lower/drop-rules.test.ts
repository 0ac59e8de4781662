/*
 * What is dropped when a value cannot be compiled, so that a mistake never allows more.
 */
import { expect } from 'chai';
import type { Action, AuthorizationRule } from '../../../../src/api/istio/resources.ts';
import type { Rule, Ruleset } from '../../../../src/policy/model/program.ts';
import { authorization, lower, provider } from './fixtures.ts';

type Operation = NonNullable<NonNullable<AuthorizationRule['to']>[number]['operation']>;

function rulesOf(action: Action, rule: AuthorizationRule, protocol: 'http' | 'tcp'): readonly Rule[] {
  const extra = action === 'CUSTOM' ? { provider: { name: 'ext' } } : {};
  const { program } = lower([authorization({ action, rules: [rule], ...extra })], { extensionProviders: [provider('ext', 'grpc')] });
  const ruleset: Ruleset = program[protocol];
  if (action === 'CUSTOM') return ruleset.custom.flatMap((step) => step.rules);
  return { ALLOW: ruleset.allow, DENY: ruleset.deny, AUDIT: ruleset.audit }[action].rules;
}

/** The clauses that are kept, or `dropped`. */
function left(action: Action, rule: AuthorizationRule, protocol: 'http' | 'tcp'): number | 'dropped' {
  const [lowered] = rulesOf(action, rule, protocol);
  return lowered === undefined ? 'dropped' : [...lowered.from.flat(), ...lowered.to.flat(), ...lowered.when].length;
}

const BAD: readonly (readonly [name: string, rule: AuthorizationRule])[] = [
  ['a bad IP', { from: [{ source: { ipBlocks: ['10.0.0.0/33'] } }] }],
  ['a bad IP in a negative list', { from: [{ source: { notRemoteIpBlocks: ['x'] } }] }],
  ['a bad port', { to: [{ operation: { ports: ['65536'] } }] }],
  ['a port that is no number', { to: [{ operation: { notPorts: ['http'] } }] }],
  ['a bad template', { to: [{ operation: { paths: ['{*}'] } }] }],
  ['a template that is too long', { to: [{ operation: { notPaths: [`/{*}/${'x'.repeat(254)}`] } }] }],
  ['a header name with a line break', { when: [{ key: 'request.headers[a\nb]', values: ['v'] }] }],
  ['a malformed header key', { when: [{ key: 'request.headersX[a]', values: ['v'] }] }],
  ['an empty header name', { when: [{ key: 'request.headers[]', values: ['v'] }] }],
  ['a malformed claims key', { when: [{ key: 'request.auth.claims', values: ['v'] }] }],
  ['an empty claim', { when: [{ key: 'request.auth.claims[a][]', notValues: ['v'] }] }],
  [
    'the result of a dry run',
    { when: [{ key: 'experimental.envoy.filters.http.rbac[istio_dry_run_deny_shadow_engine_result]', notValues: ['v'] }] },
  ],
  ['what an authorizer leaves', { when: [{ key: 'experimental.envoy.filters.http.ext_authz[a]', values: ['v'] }] }],
  ['a metadata key without bracket', { when: [{ key: 'experimental.envoy.filters.a', values: ['v'] }] }],
];

describe('a value that cannot be compiled', () => {
  for (const [name, rule] of BAD) {
    it(`drops the rule when the action is ALLOW: ${name}`, () => {
      expect(left('ALLOW', rule, 'http')).to.equal('dropped');
    });
    for (const action of ['DENY', 'AUDIT', 'CUSTOM'] as const) {
      it(`drops only the value when the action is ${action}: ${name}`, () => {
        expect(left(action, rule, 'http')).to.equal(0);
      });
    }
  }

  it('is a template from 257 characters on, without braces', () => {
    const template = (length: number): AuthorizationRule => ({
      to: [{ operation: { paths: [`/{*}/{**}/${'x'.repeat(length - '/*/**/'.length)}`] } }],
    });

    expect(left('ALLOW', template(256), 'http')).to.equal(1);
    expect(left('ALLOW', template(257), 'http')).to.equal('dropped');
  });

  it('keeps the other values of its list when the action is DENY', () => {
    const [rule] = rulesOf('DENY', { from: [{ source: { ipBlocks: ['bad', '10.0.0.1'] } }] }, 'http');
    expect(rule?.from).to.deep.equal([[{ attribute: 'sourceIp', field: 'source.ipBlocks', anyOf: ['10.0.0.1/32'] }]]);
  });

  it('drops its whole list under DENY when Envoy may match something by it', () => {
    const deny = (operation: Operation): unknown => rulesOf('DENY', { to: [{ operation }] }, 'http')[0]?.to;

    expect(deny({ methods: ['GET'], paths: ['/{*}.json', '/a'] })).to.deep.equal(deny({ methods: ['GET'] }));
    expect(deny({ notPaths: ['/{*}.json', '/a'] })).to.deep.equal(deny({ notPaths: ['/a'] }));
    expect(deny({ paths: ['/{*}{*}', '/a'] })).to.deep.equal(deny({ paths: ['/{**}', '/a'] }));
  });

  it('is reported once, with its path', () => {
    const { findings } = lower([authorization({ action: 'DENY', rules: [{ from: [{ source: { ipBlocks: ['10.0.0.1', 'bad'] } }] }] })]);
    expect(findings).to.deep.equal([
      {
        policy: { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'p' },
        code: 'SP_VALUE',
        severity: 'error',
        path: 'spec.rules[0].from[0].source.ipBlocks[1]',
        message: 'bad IP address or CIDR range (bad)',
      },
    ]);
  });

  it('is reported together with the dropped rule when the action is ALLOW', () => {
    const { findings } = lower([authorization({ rules: [{ when: [{ key: 'request.headersX[a]', values: ['v'] }] }] })]);
    expect(findings.map(({ code, path }) => [code, path])).to.deep.equal([
      ['SP_WHEN', 'spec.rules[0].when[0].key'],
      ['SP_POLICY', 'spec.rules[0]'],
    ]);
  });

  it('drops the rule under every action when it is an unknown key', () => {
    for (const action of ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'] as const) {
      expect(left(action, { when: [{ key: 'request.path', values: ['/'] }] }, 'http'), action).to.equal('dropped');
    }
  });

  it('leaves the engine attached when every rule is dropped', () => {
    const { program } = lower([authorization({ rules: [{ when: [{ key: 'nonsense', values: ['/'] }] }] })]);
    expect(program.http.allow).to.deep.equal({ attached: true, rules: [] });
  });
});

describe('an HTTP attribute on TCP', () => {
  const httpOnly: readonly AuthorizationRule[] = [
    { to: [{ operation: { hosts: ['a'] } }] },
    { to: [{ operation: { notMethods: ['GET'] } }] },
    { to: [{ operation: { paths: ['/a'] } }] },
    { from: [{ source: { notRequestPrincipals: ['*'] } }] },
    { when: [{ key: 'request.headers[a]', values: ['v'] }] },
    { when: [{ key: 'request.auth.principal', values: ['v'] }] },
    { when: [{ key: 'request.auth.audiences', values: ['v'] }] },
    { when: [{ key: 'request.auth.presenter', values: ['v'] }] },
    { when: [{ key: 'request.auth.claims[a]', notValues: ['v'] }] },
  ];
  for (const rule of httpOnly) {
    it(`is dropped, and under ALLOW its rule: ${JSON.stringify(rule)}`, () => {
      expect(left('ALLOW', rule, 'tcp')).to.equal('dropped');
      expect(left('DENY', rule, 'tcp')).to.equal(0);
    });
  }

  it('is not reported', () => {
    expect(lower([authorization({ rules: httpOnly })]).findings).to.deep.equal([]);
  });

  it('keeps attributes that TCP has', () => {
    expect(left('DENY', { to: [{ operation: { methods: ['GET'], ports: ['8080'] } }] }, 'tcp')).to.equal(1);
    expect(left('ALLOW', { to: [{ operation: { methods: ['GET'], ports: ['8080'] } }] }, 'tcp')).to.equal('dropped');
    expect(left('ALLOW', { from: [{ source: { namespaces: ['a'] } }], when: [{ key: 'connection.sni', values: ['a'] }] }, 'tcp')).to.equal(
      2,
    );
  });
});
