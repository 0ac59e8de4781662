import { expect } from 'chai';
import { addressOf, requestPartFor } from '../../../src/explain/clause-request-part.ts';
import type { Clause } from '../../../src/policy/model/program.ts';
import { enforce, policy } from './support.ts';

/** The first clause of a policy with one rule. */
function clauseOf(rule: object): Clause {
  const [compiled] = enforce([policy('a', { rules: [rule] })]).program.http.allow.rules;
  const clause = [...(compiled?.from[0] ?? []), ...(compiled?.to[0] ?? []), ...(compiled?.when ?? [])][0];
  if (clause === undefined) throw new Error('the rule has one clause');
  return clause;
}

const operation = (fields: object): object => ({ to: [{ operation: fields }] });
const source = (fields: object): object => ({ from: [{ source: fields }] });
const when = (key: string, ...values: readonly string[]): object => ({ when: [{ key, values }] });

describe('requestPartFor', () => {
  const cases: readonly (readonly [name: string, rule: object, hit: object, miss: object])[] = [
    ['a method', operation({ methods: ['DELETE'] }), { method: 'DELETE' }, { method: 'GET' }],
    ['a negative method', operation({ notMethods: ['GET'] }), { method: 'POST' }, { method: 'GET' }],
    ['a path', operation({ paths: ['/a'] }), { path: '/a' }, { path: '/ax1' }],
    ['a path suffix', operation({ paths: ['*.js'] }), { path: '/x1.js' }, { path: '/x1.jsx1' }],
    ['a host', operation({ hosts: ['a.example'] }), { host: 'a.example' }, { host: 'a.examplex1' }],
    ['a port', operation({ ports: ['8080'] }), { port: 8080 }, { port: 1 }],
    ['an address', source({ ipBlocks: ['10.0.0.0/8'] }), { sourceIp: '10.0.0.0' }, { sourceIp: '192.0.2.77' }],
    [
      'a remote address',
      source({ remoteIpBlocks: ['10.0.0.0/8'] }),
      { headers: [['x-forwarded-for', '10.0.0.0']] },
      { headers: [['x-forwarded-for', '192.0.2.77']] },
    ],
    ['a header', when('request.headers[x]', 'a'), { headers: [['x', 'a']] }, { headers: [['x', 'ax1']] }],
    ['the pseudo header of the path', when('request.headers[:path]', 'a'), { path: '/a' }, { path: '/ax1' }],
    ['the header Host', when('request.headers[host]', 'a'), { host: 'a' }, { host: 'ax1' }],
    [
      'a nested claim',
      when('request.auth.claims[a][b]', 'c'),
      { claims: [{ path: ['a', 'b'], value: 'c' }] },
      { claims: [{ path: ['a', 'b'], value: 'cx1' }] },
    ],
    [
      'a request principal of a known issuer',
      source({ requestPrincipals: ['*/bob'] }),
      {
        claims: [
          { path: ['iss'], value: 'me' },
          { path: ['sub'], value: 'bob' },
        ],
      },
      {
        claims: [
          { path: ['iss'], value: 'me' },
          { path: ['sub'], value: 'bobx1' },
        ],
      },
    ],
    ['a server name', when('connection.sni', 'a.example'), { sni: 'a.example' }, { sni: 'a.examplex1' }],
    ['a destination address', when('destination.ip', '10.1.0.0/16'), { destinationIp: '10.1.0.0' }, { destinationIp: '192.0.2.77' }],
  ];
  for (const [name, rule, hit, miss] of cases) {
    it(`returns a value that matches ${name}, and one that does not`, () => {
      const clause = clauseOf(rule);

      expect(requestPartFor(clause, 'hit', ['me'])).to.deep.equal(hit);
      expect(requestPartFor(clause, 'miss', ['me'])).to.deep.equal(miss);
    });
  }

  it('is empty when no value misses a clause that any value matches', () => {
    expect(requestPartFor(clauseOf(when('request.headers[x]', '*')), 'miss', [])).to.deep.equal({});
  });
});

describe('addressOf', () => {
  for (const [block, address] of [
    ['10.0.0.0/8', '10.0.0.0'],
    ['2001:db8::/32', '2001:db8::'],
  ] as const) {
    it(`returns ${address} for ${block}`, () => {
      expect(addressOf(block)).to.equal(address);
    });
  }
});
