/*
 * The clause of every field of `from`, `to` and `when`.
 */
import { expect } from 'chai';
import type { Condition, Operation, Source } from '../../../../src/api/istio/resources.ts';
import { clausesOf } from './fixtures.ts';

const exact = (value: string): unknown => ({ kind: 'exact', value });

describe('lowering a source', () => {
  const rows: readonly (readonly [Source, unknown])[] = [
    [{ principals: ['*'] }, { attribute: 'peer', field: 'source.principals', anyOf: [{ kind: 'present' }] }],
    [{ principals: ['a/*'] }, { attribute: 'peer', field: 'source.principals', anyOf: [{ kind: 'prefix', value: 'spiffe://a/' }] }],
    [{ notPrincipals: ['*/sa/b'] }, { attribute: 'peer', field: 'source.principals', noneOf: [{ kind: 'spiffeSuffix', value: '/sa/b' }] }],
    [{ principals: ['x'] }, { attribute: 'peer', field: 'source.principals', anyOf: [exact('spiffe://x')] }],
    [{ namespaces: ['a*'] }, { attribute: 'peer', field: 'source.namespaces', anyOf: [{ kind: 'namespace', pattern: 'a*' }] }],
    [
      { serviceAccounts: ['a', 'n/b'] },
      {
        attribute: 'peer',
        field: 'source.serviceAccounts',
        anyOf: [
          { kind: 'serviceAccount', namespace: 'foo', name: 'a' },
          { kind: 'serviceAccount', namespace: 'n', name: 'b' },
        ],
      },
    ],
    [
      { trustDomains: ['*', 'a', 'p*', '*s', 'p*m*s'] },
      {
        attribute: 'peer',
        field: 'source.trustDomains',
        anyOf: [
          { kind: 'prefix', value: 'spiffe://' },
          { kind: 'prefix', value: 'spiffe://a/' },
          { kind: 'trustDomain', prefix: 'p', suffix: '' },
          { kind: 'trustDomain', prefix: '', suffix: 's' },
          { kind: 'trustDomain', prefix: 'p', suffix: 'm*s' },
        ],
      },
    ],
    [
      { ipBlocks: ['10.1.2.3/8'], notIpBlocks: ['::1'] },
      { attribute: 'sourceIp', field: 'source.ipBlocks', anyOf: ['10.0.0.0/8'], noneOf: ['::1/128'] },
    ],
    [{ remoteIpBlocks: ['10.1.2.3'] }, { attribute: 'remoteIp', field: 'source.remoteIpBlocks', anyOf: ['10.1.2.3/32'] }],
    [
      { requestPrincipals: ['i/s'] },
      { attribute: 'requestPrincipal', field: 'source.requestPrincipals', anyOf: [{ iss: exact('i'), sub: exact('s') }] },
    ],
  ];
  for (const [source, clause] of rows) {
    it(`gives the clauses of ${JSON.stringify(source)}`, () => {
      expect(clausesOf({ from: [{ source }] })).to.deep.equal([clause]);
    });
  }

  it('matches anything when the source is absent or empty', () => {
    expect(clausesOf({ from: [{}] })).to.deep.equal([]);
    expect(clausesOf({ from: [{ source: { principals: [] } }] })).to.deep.equal([]);
  });
});

describe('lowering an operation', () => {
  const rows: readonly (readonly [Operation, unknown])[] = [
    [{ hosts: ['A.com'] }, { attribute: 'host', field: 'operation.hosts', anyOf: [exact('A.com')] }],
    [{ notMethods: ['GET'] }, { attribute: 'method', field: 'operation.methods', noneOf: [exact('GET')] }],
    [
      { paths: ['/a*', '/{*}'] },
      {
        attribute: 'path',
        field: 'operation.paths',
        anyOf: [
          { kind: 'prefix', value: '/a' },
          { kind: 'template', value: '/{*}' },
        ],
      },
    ],
    [{ ports: ['80', '080', '0'] }, { attribute: 'destinationPort', field: 'operation.ports', anyOf: [80, 80, 0] }],
  ];
  for (const [operation, clause] of rows) {
    it(`gives the clauses of ${JSON.stringify(operation)}`, () => {
      expect(clausesOf({ to: [{ operation }] })).to.deep.equal([clause]);
    });
  }

  it('matches anything when the operation is absent', () => {
    expect(clausesOf({ to: [{}] })).to.deep.equal([]);
  });
});

describe('lowering a condition', () => {
  const rows: readonly (readonly [Condition, unknown])[] = [
    [
      { key: 'request.headers[X-A]', values: ['*'] },
      { attribute: 'header', name: 'x-a', anyOf: [{ kind: 'present' }] },
    ],
    [
      { key: 'source.ip', values: ['10.0.0.0/8'] },
      { attribute: 'sourceIp', anyOf: ['10.0.0.0/8'] },
    ],
    [
      { key: 'remote.ip', notValues: ['10.0.0.0/8'] },
      { attribute: 'remoteIp', noneOf: ['10.0.0.0/8'] },
    ],
    [
      { key: 'destination.ip', values: ['::/0'] },
      { attribute: 'destinationIp', anyOf: ['::/0'] },
    ],
    [
      { key: 'destination.port', values: ['1'] },
      { attribute: 'destinationPort', anyOf: [1] },
    ],
    [
      { key: 'source.namespace', values: ['a'] },
      { attribute: 'peer', anyOf: [{ kind: 'namespace', pattern: 'a' }] },
    ],
    [
      { key: 'source.serviceAccount', values: ['a'] },
      { attribute: 'peer', anyOf: [{ kind: 'serviceAccount', namespace: 'foo', name: 'a' }] },
    ],
    [
      { key: 'source.trustDomain', values: ['a'] },
      { attribute: 'peer', anyOf: [{ kind: 'prefix', value: 'spiffe://a/' }] },
    ],
    [
      { key: 'source.principal', values: ['*'] },
      { attribute: 'peer', anyOf: [{ kind: 'present' }] },
    ],
    [
      { key: 'request.auth.principal', values: ['i/s'] },
      { attribute: 'requestPrincipal', anyOf: [{ iss: exact('i'), sub: exact('s') }] },
    ],
    [
      { key: 'request.auth.audiences', values: ['a'] },
      { attribute: 'claim', path: ['aud'], anyOf: [exact('a')] },
    ],
    [
      { key: 'request.auth.presenter', values: ['a'] },
      { attribute: 'claim', path: ['azp'], anyOf: [exact('a')] },
    ],
    [
      { key: 'request.auth.claims[a.b]', values: ['a'] },
      { attribute: 'claim', path: ['a.b'], anyOf: [exact('a')] },
    ],
    [
      { key: 'request.auth.claims[a][b]', values: ['a'] },
      { attribute: 'claim', path: ['a', 'b'], anyOf: [exact('a')] },
    ],
    [
      { key: 'request.auth.claims[[x]]', values: ['a'] },
      { attribute: 'claim', path: ['[x]'], anyOf: [exact('a')] },
    ],
    [
      { key: 'request.auth.claims[a]b]', values: ['a'] },
      { attribute: 'claim', path: ['a]b'], anyOf: [exact('a')] },
    ],
    [
      { key: 'connection.sni', values: ['*.com'] },
      { attribute: 'sni', anyOf: [{ kind: 'suffix', value: '.com' }] },
    ],
    [
      { key: 'experimental.envoy.filters.a.b[k]', values: ['v'] },
      { attribute: 'metadata', filter: 'envoy.filters.a.b', path: ['k'], list: false, anyOf: [exact('v')] },
    ],
    [
      { key: 'experimental.envoy.filters.a.b[k', notValues: ['[v]'] },
      { attribute: 'metadata', filter: 'envoy.filters.a.b', path: ['k'], list: true, noneOf: [exact('v')] },
    ],
  ];
  for (const [condition, clause] of rows) {
    it(`gives the clause of ${JSON.stringify(condition)}`, () => {
      expect(clausesOf({ when: [condition] })).to.deep.equal([{ field: condition.key, ...(clause as object) }]);
    });
  }
});
