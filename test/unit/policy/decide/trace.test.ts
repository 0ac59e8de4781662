/*
 * Traces: the first clause that does not hold, the request's value, the expected values, and the nearest alternative.
 */
import { expect } from 'chai';
import type { ClauseMiss } from '../../../../src/policy/decide/decision.ts';
import { createLinearEvaluator } from '../../../../src/policy/decide/linear.ts';
import type { Clause } from '../../../../src/policy/model/program.ts';
import { engine, type FactsOver, factsWith, programOf, rule, whenRule } from './fixtures.ts';

const exact = (value: string): { readonly kind: 'exact'; readonly value: string } => ({ kind: 'exact', value });
const PORT_HINT = 'the port is that of the container, not of the Service';
const PRESENT = { kind: 'present' } as const;
const PEER = { uris: ['spiffe://td/ns/a/sa/b'], dnsNames: [], subject: '' };

function missOf(clause: Clause, over: FactsOver): ClauseMiss | undefined {
  return createLinearEvaluator(programOf({ allow: engine(whenRule(clause)) })).trace(factsWith(over))[0]?.misses[0];
}

const claim = (anyOf: Clause['anyOf'], path: readonly string[] = ['groups']): Clause =>
  ({ attribute: 'claim', field: 'f', path, anyOf }) as Clause;
const MISSES: readonly (readonly [name: string, clause: Clause, over: FactsOver, saw: string, wanted: string, hint?: string])[] = [
  ['a claim that is absent', claim([exact('a')]), { claims: {} }, 'absent', 'one of a', 'claim groups is absent'],
  [
    'a claim that is a number',
    claim([exact('5')]),
    { claims: { groups: 5 } },
    '5',
    'one of 5',
    'claim groups is a number; only strings and arrays of strings match',
  ],
  [
    'a claim that is a boolean',
    claim([exact('true')]),
    { claims: { groups: true } },
    'true',
    'one of true',
    'claim groups is a boolean; only strings and arrays of strings match',
  ],
  [
    'a claim that is an object',
    claim([PRESENT]),
    { claims: { groups: {} } },
    '{}',
    'one of *',
    'claim groups is an object; only strings and arrays of strings match',
  ],
  [
    'a claim whose member names are the roles',
    claim([exact('admin')]),
    { claims: { groups: { admin: { '2041': 'corp.example' } } } },
    '{"admin":{"2041":"corp.example"}}',
    'one of admin',
    'admin is the name of a member of claim groups: use request.auth.claims[groups][admin][2041] with values ["*"], or a flat claim of the identity provider',
  ],
  [
    'a claim whose member name is a role with a flag',
    claim([{ kind: 'prefix', value: 'adm' }]),
    { claims: { groups: { user: true, admin: true } } },
    '{"user":true,"admin":true}',
    'one of adm*',
    'admin is the name of a member of claim groups, and only values are compared: let the identity provider send a flat claim',
  ],
  ['a claim that is null', claim([PRESENT]), { claims: { groups: null } }, 'null', 'one of *', 'claim groups is null'],
  ['a claim that is an empty array', claim([PRESENT]), { claims: { groups: [] } }, '[]', 'one of *', 'claim groups is an empty array'],
  [
    'a claim in another case',
    claim([exact('Dev')]),
    { claims: { groups: ['ops', 'dev', 1] } },
    '["ops","dev",1]',
    'one of Dev',
    'differs only in case from Dev',
  ],
  [
    'a claim with blanks',
    claim([exact('dev')]),
    { claims: { groups: ' dev' } },
    '" dev"',
    'one of dev',
    'differs only in surrounding whitespace from dev',
  ],
  [
    'a claim that has nothing near',
    claim([exact('a'), { kind: 'suffix', value: 'b' }]),
    { claims: { groups: 'x' } },
    '"x"',
    'one of a, *b',
  ],
  [
    'a host with a port that a suffix excludes',
    { attribute: 'host', field: 'f', anyOf: [{ kind: 'suffix', value: '.corp.example' }] },
    { host: 'Desk.corp.example:443' },
    'Desk.corp.example:443',
    'one of *.corp.example',
    'the host was sent with a port, which is part of it: add Desk.corp.example:443, or let the proxy in front remove the port; *.corp.example:* has two stars and matches nothing',
  ],
  ['no token', claim([exact('a')]), {}, 'absent', 'one of a', 'the request has no verified token'],
  [
    'an issuer with a slash too many',
    {
      attribute: 'requestPrincipal',
      field: 'f',
      anyOf: [
        { iss: PRESENT, sub: exact('x') },
        { iss: exact('https://idp'), sub: exact('s') },
      ],
    },
    { claims: { iss: 'https://idp/', sub: 's' } },
    'https://idp//s',
    'one of */x, https://idp/s',
    'iss ends in /, the policy says https://idp: write https://idp//s',
  ],
  [
    'an issuer with a slash too few',
    { attribute: 'requestPrincipal', field: 'f', anyOf: [{ iss: exact('https://idp/'), sub: PRESENT }] },
    { claims: { iss: 'https://idp', sub: 's' } },
    'https://idp/s',
    'one of https://idp//*',
    'iss does not end in /, the policy says https://idp/: write https://idp/*',
  ],
  [
    'a request principal in another case',
    { attribute: 'requestPrincipal', field: 'f', anyOf: [{ iss: exact('i'), sub: exact('S') }] },
    { claims: { iss: 'i', sub: 's' } },
    'i/s',
    'one of i/S',
    'differs only in case from i/S',
  ],
  [
    'a token without sub',
    { attribute: 'requestPrincipal', field: 'f', anyOf: [{ iss: PRESENT, sub: PRESENT }] },
    { claims: { iss: 'i' } },
    'i/',
    'one of *',
    'the token has no sub; a request principal requires both iss and sub',
  ],
  [
    'a host with its port',
    { attribute: 'host', field: 'f', anyOf: [exact('A.com')] },
    { host: 'a.com:8080' },
    'a.com:8080',
    'one of A.com',
    'hosts are compared including the port: add A.com:*',
  ],
  ['a host that is far', { attribute: 'host', field: 'f', anyOf: [exact('A.com')] }, { host: 'b.com' }, 'b.com', 'one of A.com'],
  [
    'a method in another case',
    { attribute: 'method', field: 'f', anyOf: [exact('get')] },
    {},
    'GET',
    'one of get',
    'differs only in case from get: write GET',
  ],
  [
    'a path with a slash at the end',
    { attribute: 'path', field: 'f', anyOf: [exact('/p/'), { kind: 'template', value: '/{*}/x' }] },
    {},
    '/p',
    'one of /p/, /{*}/x',
    'differs only in a trailing slash from /p/',
  ],
  [
    'a path without one',
    { attribute: 'path', field: 'f', anyOf: [exact('/p')] },
    { pathWithQuery: '/p/' },
    '/p/',
    'one of /p',
    'differs only in a trailing slash from /p',
  ],
  [
    'a header that is absent',
    { attribute: 'header', field: 'f', name: 'x', anyOf: [{ kind: 'prefix', value: 'a' }] },
    {},
    'absent',
    'one of a*',
    'header x is absent',
  ],
  [
    'several header instances',
    { attribute: 'header', field: 'f', name: 'x', anyOf: [exact('c')] },
    { headers: { x: ['a', 'b'] } },
    'a, b',
    'one of c',
  ],
  [
    'an address',
    { attribute: 'sourceIp', field: 'f', anyOf: ['10.9.0.0/16'], noneOf: ['10.9.1.0/24'] },
    {},
    '10.0.0.9',
    'one of 10.9.0.0/16 and none of 10.9.1.0/24',
  ],
  [
    'no address',
    { attribute: 'sourceIp', field: 'f', anyOf: ['10.9.0.0/16'] },
    { connection: { sourceIp: '' } },
    'absent',
    'one of 10.9.0.0/16',
  ],
  ['a remote address', { attribute: 'remoteIp', field: 'f', anyOf: ['10.9.0.0/16'] }, {}, '1.2.3.4', 'one of 10.9.0.0/16'],
  ['a destination address', { attribute: 'destinationIp', field: 'f', anyOf: ['10.9.0.0/16'] }, {}, '10.1.1.1', 'one of 10.9.0.0/16'],
  ['an SNI', { attribute: 'sni', field: 'f', anyOf: [exact('a')] }, { connection: { sni: 'b' } }, 'b', 'one of a'],
  [
    'no SNI',
    { attribute: 'sni', field: 'f', anyOf: [exact('a')] },
    { connection: { sni: '' } },
    'absent',
    'one of a',
    'the connection has no server name (SNI)',
  ],
  ['no peer', { attribute: 'peer', field: 'f', anyOf: [PRESENT] }, {}, 'absent', 'one of *', 'the connection has no peer identity (mTLS)'],
  [
    'another peer',
    {
      attribute: 'peer',
      field: 'f',
      anyOf: [
        exact('spiffe://TD/ns/a/sa/b'),
        { kind: 'prefix', value: 'spiffe://x' },
        { kind: 'suffix', value: 'y' },
        { kind: 'spiffeSuffix', value: '/z' },
        { kind: 'namespace', pattern: 'n' },
        { kind: 'serviceAccount', namespace: 'n', name: 's' },
        { kind: 'trustDomain', prefix: 'p', suffix: '' },
      ],
    },
    { connection: { peer: PEER } },
    'spiffe://td/ns/a/sa/b',
    'one of TD/ns/a/sa/b, x*, *y, */z, namespace n, service account n/s, trust domain p*',
    'differs only in case from TD/ns/a/sa/b',
  ],
  [
    'metadata of Envoy',
    { attribute: 'metadata', field: 'f', filter: 'x', path: ['k'], list: false, anyOf: [exact('v')] },
    {},
    'absent',
    'one of v',
    'metadata of Envoy filters exists only in Envoy',
  ],
];

describe('the trace', () => {
  it('reports every rule of every engine', () => {
    const custom = [{ name: 'ext', refusal: 'x', rules: [rule('c')] }];
    const program = programOf({
      custom,
      audit: engine(rule('au')),
      deny: engine(rule('d')),
      dryRunDeny: engine(rule('dd')),
      allow: engine(rule('a')),
      dryRunAllow: engine(rule('da')),
    });
    const traces = createLinearEvaluator(program).trace(factsWith());
    expect(traces.map(({ action, dryRun, rule: { source }, matched }) => [action, dryRun, source.name, matched])).to.deep.equal([
      ['CUSTOM', false, 'c', true],
      ['AUDIT', false, 'au', true],
      ['DENY', false, 'd', true],
      ['DENY', true, 'dd', true],
      ['ALLOW', false, 'a', true],
      ['ALLOW', true, 'da', true],
    ]);
  });

  it('reports every clause that does not hold, nearest alternatives first, and nothing for a part that holds', () => {
    const path = (value: string): Clause => ({ attribute: 'path', field: 'operation.paths', anyOf: [exact(value)] });
    const port: Clause = { attribute: 'destinationPort', field: 'operation.ports', anyOf: [1] };
    const method: Clause = { attribute: 'method', field: 'request.method', noneOf: [exact('GET')] };
    const traced = rule('a', {
      from: [[port], []],
      to: [
        [path('/p'), port],
        [path('/x'), port],
      ],
      when: [path('/p'), method],
    });
    const [trace] = createLinearEvaluator(programOf({ allow: engine(traced) })).trace(factsWith());
    expect(trace?.matched).to.equal(false);
    expect(trace?.misses).to.deep.equal([
      { path: 'to[0].operation.ports', saw: '8080', wanted: 'one of 1', hint: PORT_HINT },
      { path: 'when[1] request.method', saw: 'GET', wanted: 'none of GET' },
      { path: 'to[1].operation.paths', saw: '/p', wanted: 'one of /x' },
      { path: 'to[1].operation.ports', saw: '8080', wanted: 'one of 1', hint: PORT_HINT },
    ]);
    expect(trace?.failing).to.equal(2);
  });

  it('counts clauses that fail because there is no token once', () => {
    const claims = (name: string): Clause => ({ attribute: 'claim', field: 'f', path: [name], anyOf: [exact('v')] });
    const [trace] = createLinearEvaluator(programOf({ allow: engine(rule('a', { when: [claims('a'), claims('b')] })) })).trace(factsWith());

    expect([trace?.failing, trace?.misses.length]).to.deep.equal([1, 2]);
  });

  it('hides claims from CUSTOM rules', () => {
    const custom = [{ name: 'ext', refusal: 'x', rules: [whenRule({ attribute: 'claim', field: 'f', path: ['a'], anyOf: [exact('v')] })] }];
    const [trace] = createLinearEvaluator(programOf({ custom })).trace(factsWith({ claims: { a: 'v' } }));
    expect(trace?.misses[0]).to.include({ saw: 'absent', hint: 'the request has no verified token' });
  });
});

describe('the miss of a clause', () => {
  for (const [name, clause, over, saw, wanted, hint] of MISSES) {
    it(`explains ${name}`, () => {
      const miss = missOf(clause, over);
      expect([miss?.saw, miss?.wanted, miss?.hint]).to.deep.equal([saw, wanted, hint]);
    });
  }

  it('shortens long values', () => {
    const miss = missOf({ attribute: 'method', field: 'f', anyOf: [exact('x'.repeat(500))] }, { method: 'y'.repeat(500) });
    expect([miss?.saw.length, miss?.wanted.length]).to.deep.equal([201, 201]);
  });
});

describe('the nearness of a rule', () => {
  const path = (value: string): Clause => ({ attribute: 'path', field: 'operation.paths', anyOf: [exact(value)] });
  const method = (value: string): Clause => ({ attribute: 'method', field: 'operation.methods', anyOf: [exact(value)] });
  const host: Clause = { attribute: 'host', field: 'operation.hosts', anyOf: [exact('elsewhere')] };

  function nearnessOf(parts: Parameters<typeof rule>[1]): number | undefined {
    return createLinearEvaluator(programOf({ allow: engine(rule('a', parts)) })).trace(factsWith())[0]?.nearness;
  }

  it('is 1 when the rule matches, even without clauses', () => {
    expect(nearnessOf({ to: [[path('/p')]] })).to.equal(1);
    expect(nearnessOf({})).to.equal(1);
  });

  it('counts every clause that holds, including those after one that does not', () => {
    expect(nearnessOf({ to: [[host, method('GET'), path('/p')]] })).to.equal(2 / 3);
  });

  it('counts a near miss as half', () => {
    expect(nearnessOf({ to: [[path('/p/')]] })).to.equal(0.5);
    expect(nearnessOf({ to: [[path('/other')]] })).to.equal(0);
  });

  it('uses the best of several alternatives, and reports it first', () => {
    const traced = rule('a', {
      to: [
        [host, method('PUT')],
        [method('GET'), path('/P')],
      ],
    });
    const [trace] = createLinearEvaluator(programOf({ allow: engine(traced) })).trace(factsWith());

    expect(trace?.nearness).to.equal(0.75);
    expect(trace?.misses.map((miss) => miss.path)).to.deep.equal([
      'to[1].operation.paths',
      'to[0].operation.hosts',
      'to[0].operation.methods',
    ]);
    expect(trace?.failing).to.equal(1);
  });

  it('reports the clauses of a match, with a note when an absent attribute passes a negative list', () => {
    const peer: Clause = { attribute: 'peer', field: 'source.principals', noneOf: [exact('spiffe://td/ns/a/sa/b')] };
    const [trace] = createLinearEvaluator(programOf({ deny: engine(rule('d', { from: [[peer]], to: [[path('/p')]] })) })).trace(
      factsWith(),
    );

    expect(trace?.hits).to.deep.equal([
      { path: 'from[0].source.principals', saw: 'absent', wanted: 'none of td/ns/a/sa/b', note: 'an absent attribute is not in the list' },
      { path: 'to[0].operation.paths', saw: '/p', wanted: 'one of /p' },
    ]);
  });
});
