import { expect } from 'chai';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../../src/api/mesh-config.ts';
import { generateRequests as generate } from '../../../../src/explain/generate/generate-requests.ts';
import type { GeneratedRequest } from '../../../../src/explain/generate/generated-request.ts';
import { lowerPolicies } from '../../../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { EDITS, editedPrograms, requestsUntilFlip, SHAPES } from '../../../support/policy-edits.ts';

const JWT_RULE = { issuer: 'me', jwksUri: 'https://me.example/keys' };
const RULE = {
  from: [{ source: { requestPrincipals: ['me/bob'], ipBlocks: ['10.1.0.0/16'], serviceAccounts: ['foo/web'] } }],
  to: [{ operation: { methods: ['PUT'], paths: ['/a/*', '/t/{*}/end'], hosts: ['*.example'], ports: ['8080'] } }],
  when: [
    { key: 'request.headers[x-tenant]', values: ['red', 'blue'] },
    { key: 'request.auth.claims[a][b]', notValues: ['deep'] },
  ],
};

function program(rules: readonly object[] = [RULE], jwtRules: readonly object[] = [JWT_RULE]): Program {
  const policies = [
    ['RequestAuthentication', { jwtRules }],
    ['AuthorizationPolicy', { rules }],
  ].map(([kind, spec]) => {
    const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name: 'a', namespace: 'foo' }, spec });
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  return lowerPolicies({ namespace: 'foo', policies, mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'none' }).program;
}

function generateRequests(programs: readonly [Program, Program], count: number, seed: number): readonly GeneratedRequest[] {
  return [...generate(programs, count, seed)];
}

describe('generateRequests', () => {
  it('uses every value of the rules, positive and negative, and the edges of blocks', () => {
    const text = JSON.stringify(generateRequests([program(), program()], 300, 1));

    for (const value of [
      '"PUT"',
      '/a/x1',
      '/t/x1/end',
      'x1.example',
      '8080',
      '10.1.0.0',
      '10.1.255.255',
      '10.0.255.255',
      '10.2.0.0',
      'spiffe://cluster.local/ns/foo/sa/web',
      '"red"',
      '"blue"',
      '"bob"',
      '"deep"',
    ]) {
      expect(text).to.include(value);
    }
  });

  it('leaves out each optional member in some requests', () => {
    const requests = generateRequests([program(), program()], 300, 1);

    for (const member of ['tokens', 'host', 'sourceIp', 'peer', 'port'] as const) {
      expect(requests.filter((request) => request[member] === undefined)).to.not.have.length(0);
    }
  });

  it('returns the same requests for the same seed, and others for another seed', () => {
    const both = [program(), program()] as const;

    expect(generateRequests(both, 50, 3)).to.deep.equal(generateRequests(both, 50, 3));
    expect(generateRequests(both, 50, 3)).to.not.deep.equal(generateRequests(both, 50, 4));
  });

  it('returns as many plain requests as asked for when there are no rules', () => {
    const empty = lowerPolicies({ namespace: 'foo', policies: [], mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'none' }).program;
    const requests = generateRequests([empty, empty], 20, 1);

    expect(requests).to.have.length(20);
    for (const request of requests) expect(Object.keys(request)).to.have.members(['method', 'path', 'headers']);
  });

  it('starts with the rules that differ, of both sides', () => {
    const many = Array.from({ length: 50 }, (_, at) => ({ to: [{ operation: { paths: [`/same/${at}`] } }] }));
    const differing = (path: string): object => ({ to: [{ operation: { paths: [path] } }] });
    const requests = generateRequests([program([...many, differing('/old')]), program([...many, differing('/new')])], 20, 1);

    expect(requests.slice(0, 2).map(({ path }) => path)).to.deep.equal(['/old', '/new']);
  });

  it('sends a token for every JWT rule that requires one, where that rule looks for it', () => {
    const required = {
      issuer: 'other',
      jwksUri: 'https://other.example/keys',
      audiences: ['web'],
      presence: 'REQUIRED',
      fromHeaders: [{ name: 'x-other' }],
    };
    const both = [program([RULE], [required, JWT_RULE]), program([RULE], [required, JWT_RULE])] as const;

    for (const { tokens = [] } of generateRequests(both, 100, 1)) {
      const own = tokens.find(({ place }) => place.name === 'x-other');
      expect(own?.claims).to.include({ iss: 'other', aud: 'web' });
    }
  });
});

describe('edits that generated requests find', () => {
  for (const shape of SHAPES) {
    for (const edit of Object.keys(EDITS)) {
      it(`finds "${edit}" with ${shape}`, () => {
        for (const seed of [1, 2]) expect(requestsUntilFlip(editedPrograms(edit, shape, seed), 1000, seed)).to.be.a('number');
      });
    }
  }
});

describe('differences that other rules hide', () => {
  const path = (...paths: readonly string[]): object => ({ to: [{ operation: { paths } }] });
  const claim = (...values: readonly string[]): object => ({ when: [{ key: 'request.auth.claims[role]', values }] });
  const cases: readonly (readonly [name: string, before: Program, after: Program])[] = [
    [
      'an open path below one that another rule allows',
      program([path('/a', '/b'), claim('x')]),
      program([path('/a', '/b', '/c'), claim('x')]),
    ],
    [
      'a claim value next to a rule for the same path',
      program([{ ...path('/a'), ...claim('x') }, path('/b')]),
      program([{ ...path('/a', '/b'), ...claim('x', 'y') }, path('/b')]),
    ],
    [
      'an audience',
      program([claim('x')], [{ ...JWT_RULE, audiences: ['web'] }]),
      program([claim('x')], [{ ...JWT_RULE, audiences: ['web', 'app'] }]),
    ],
    ['a token in a cookie', program([claim('x')], [JWT_RULE]), program([claim('x')], [{ ...JWT_RULE, fromCookies: ['session'] }])],
    ['a token that is no longer required', program([path('/a')], [{ ...JWT_RULE, presence: 'REQUIRED' }]), program([path('/a')])],
    ['{**} instead of {*}', program([path('/a/{*}/c')]), program([path('/a/{**}/c')])],
    [
      'an IPv6 block',
      program([{ from: [{ source: { ipBlocks: ['2001:db8::/33'] } }] }]),
      program([{ from: [{ source: { ipBlocks: ['2001:db8::/32'] } }] }]),
    ],
    ['a port', program([{ to: [{ operation: { ports: ['80'] } }] }]), program([{ to: [{ operation: { ports: ['80', '81'] } }] }])],
    [
      'one notValue fewer',
      program([{ when: [{ key: 'request.headers[a]', notValues: ['b', 'c'] }] }]),
      program([{ when: [{ key: 'request.headers[a]', notValues: ['b'] }] }]),
    ],
    ['all rules removed', program([path('/a')]), program([])],
  ];
  for (const [name, before, after] of cases) {
    it(`finds ${name}`, () => {
      expect(requestsUntilFlip([before, after], 500, 1)).to.be.a('number');
    });
  }
});
