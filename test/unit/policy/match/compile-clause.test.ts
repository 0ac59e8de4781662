/*
 * Clauses on every attribute: positive and negative, present and missing.
 */
import { expect } from 'chai';
import { compileClause } from '../../../../src/policy/match/compile-clause.ts';
import type { Clause } from '../../../../src/policy/model/program.ts';
import { type FactsOver, factsWith } from '../decide/fixtures.ts';

const PEER = { uris: ['spiffe://td/ns/a/sa/b'], dnsNames: ['b.a'], subject: 'CN=b' };
const exact = (value: string): { readonly kind: 'exact'; readonly value: string } => ({ kind: 'exact', value });
const PRESENT = { kind: 'present' } as const;

/** A clause with `anyOf` only, facts that satisfy it, facts that do not, and facts without the attribute. */
const ROWS: readonly (readonly [clause: Clause, hit: FactsOver, miss: FactsOver, absent?: FactsOver])[] = [
  [{ attribute: 'host', field: 'f', anyOf: [exact('A.com:80')] }, { host: 'a.COM:80' }, { host: 'a.com' }],
  [
    {
      attribute: 'host',
      field: 'f',
      anyOf: [
        { kind: 'suffix', value: '.COM' },
        { kind: 'prefix', value: 'X' },
      ],
    },
    { host: 'x' },
    { host: 'a' },
  ],
  [{ attribute: 'method', field: 'f', anyOf: [exact('GET')] }, { method: 'GET' }, { method: 'get' }],
  [{ attribute: 'sni', field: 'f', anyOf: [PRESENT] }, { connection: { sni: 'a' } }, { connection: { sni: '' } }],
  [{ attribute: 'path', field: 'f', anyOf: [exact('/p')] }, { pathWithQuery: '/p?x' }, { pathWithQuery: '/p/' }, { pathWithQuery: '' }],
  [{ attribute: 'path', field: 'f', anyOf: [{ kind: 'template', value: '/a/{*}' }] }, { pathWithQuery: '/a/b' }, { pathWithQuery: '/a/' }],
  [{ attribute: 'path', field: 'f', anyOf: [PRESENT] }, { pathWithQuery: '/' }, { pathWithQuery: '' }],
  [{ attribute: 'header', field: 'f', name: 'x', anyOf: [exact('a')] }, { headers: { x: ['b', 'a'] } }, { headers: { x: ['b'] } }, {}],
  [{ attribute: 'header', field: 'f', name: 'x', anyOf: [PRESENT] }, { headers: { x: [''] } }, {}],
  [{ attribute: 'header', field: 'f', name: 'x', anyOf: [exact('é')] }, { headers: { x: ['\u00c3\u00a9'] } }, { headers: { x: ['é'] } }],
  [
    { attribute: 'sourceIp', field: 'f', anyOf: ['10.0.0.0/24', '::/0'] },
    { connection: { sourceIp: '10.0.0.7' } },
    { connection: { sourceIp: '10.0.1.7' } },
    { connection: { sourceIp: '' } },
  ],
  [{ attribute: 'remoteIp', field: 'f', anyOf: ['1.2.3.4/32'] }, {}, { remoteIp: '1.2.3.5' }, { remoteIp: 'unix' }],
  [{ attribute: 'destinationIp', field: 'f', anyOf: ['10.1.1.1/32'] }, {}, { connection: { destinationIp: '10.1.1.2' } }],
  [{ attribute: 'destinationPort', field: 'f', anyOf: [80, 8080] }, {}, { connection: { destinationPort: 81 } }],
  [
    { attribute: 'peer', field: 'f', anyOf: [{ kind: 'namespace', pattern: 'a' }] },
    { connection: { peer: PEER } },
    { connection: { peer: { uris: ['spiffe://td/ns/b/sa/b'], dnsNames: [], subject: '' } } },
    {},
  ],
  [
    { attribute: 'peer', field: 'f', anyOf: [exact('b.a')] },
    { connection: { peer: PEER } },
    { connection: { peer: { ...PEER, dnsNames: [] } } },
  ],
  [
    { attribute: 'peer', field: 'f', anyOf: [exact('CN=b')] },
    { connection: { peer: PEER } },
    { connection: { peer: { ...PEER, subject: '' } } },
  ],
  [
    {
      attribute: 'requestPrincipal',
      field: 'f',
      anyOf: [
        { iss: exact('x'), sub: exact('y') },
        { iss: exact('i'), sub: PRESENT },
      ],
    },
    { claims: { iss: 'i', sub: 's' } },
    { claims: { iss: 'i' } },
    {},
  ],
  [
    { attribute: 'claim', field: 'f', path: ['a', 'b'], anyOf: [exact('v')] },
    { claims: { a: { b: ['v'] } } },
    { claims: { a: { b: 'w' } } },
    {},
  ],
  [{ attribute: 'claim', field: 'f', path: ['a'], anyOf: [PRESENT] }, { claims: { a: 'x' } }, { claims: { a: '' } }],
];

function negative(clause: Clause): Clause {
  const { anyOf, ...rest } = clause;
  return { ...rest, noneOf: anyOf } as unknown as Clause;
}

function holds(clause: Clause, over: FactsOver): boolean {
  const facts = factsWith(over);
  return compileClause(clause)(facts, facts.claims);
}

describe('a clause', () => {
  for (const [clause, hit, miss, absent] of ROWS) {
    const name = JSON.stringify({ ...clause, field: undefined });
    it(`on ${name} holds or fails, and the reverse when it is negative`, () => {
      expect([holds(clause, hit), holds(clause, miss), holds(clause, absent ?? miss)]).to.deep.equal([true, false, false]);
      const not = negative(clause);
      expect([holds(not, hit), holds(not, miss), holds(not, absent ?? miss)]).to.deep.equal([false, true, true]);
    });
  }

  it('with both lists holds when the positive one matches and the negative one does not', () => {
    const clause: Clause = { attribute: 'path', field: 'f', anyOf: [{ kind: 'prefix', value: '/a' }], noneOf: [exact('/ab')] };
    expect(['/ac', '/ab', '/b'].map((pathWithQuery) => holds(clause, { pathWithQuery }))).to.deep.equal([true, false, false]);
  });

  it('on hosts holds for * when the host is empty or not', () => {
    expect(holds({ attribute: 'host', field: 'f', anyOf: [PRESENT] }, { host: '' })).to.equal(true);
  });

  it('without lists holds', () => {
    expect(holds({ attribute: 'path', field: 'f' }, {})).to.equal(true);
  });

  it('on metadata of Envoy never holds, and always holds when it is negative', () => {
    const clause: Clause = { attribute: 'metadata', field: 'f', filter: 'envoy.filters.a', path: ['k'], list: false, anyOf: [exact('v')] };
    expect([holds(clause, {}), holds(negative(clause), {})]).to.deep.equal([false, true]);
  });

  it('does not hold when its template or block is invalid', () => {
    expect(holds({ attribute: 'path', field: 'f', anyOf: [{ kind: 'template', value: '{*}' }] }, {})).to.equal(false);
    expect(holds({ attribute: 'remoteIp', field: 'f', anyOf: ['nonsense'] }, {})).to.equal(false);
  });
});
