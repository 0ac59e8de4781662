/* Requests for a rule reach both sides of it: one matches, and for each clause one misses by that clause alone. */
import { expect } from 'chai';
import { insertToken } from '../../../src/cli/input/insert-token.ts';
import { readSpec } from '../../../src/cli/input/request-spec.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { RuleExplanation } from '../../../src/explain/explanation.ts';
import type { GeneratedRequest } from '../../../src/explain/generated-request.ts';
import { requestsForRules } from '../../../src/explain/requests-for-rules.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { allow, deny, policy, programOf } from '../filters/chains.ts';

const NOW = 1_800_000_000;
const key = createTestKey();
const JWT = policy('RequestAuthentication', 'jwt', {
  jwtRules: [{ issuer: 'iss', audiences: ['me'], jwksUri: 'https://iss.example/keys' }],
});

/** The result of each rule of `policies` for each request generated for them. */
function results(...policies: readonly object[]): readonly (readonly RuleExplanation[])[] {
  const program = programOf([JWT, ...policies]);
  const enforced = { program, keySets: key.keySetsFor(program) };
  return [...requestsForRules([program])].map(({ claims, ...spec }: GeneratedRequest) => {
    const read = readSpec(insertToken(spec, claims === undefined ? undefined : key.sign(claims)), 'web.foo');
    if (read.kind === 'reply') throw new Error(`the codec rejects ${JSON.stringify(spec)}`);
    return explainRequest(enforced, read.request, NOW).rules;
  });
}

type Spec = Readonly<Record<string, unknown>>;
const source = (spec: Spec): Spec => ({ from: [{ source: spec }] });
const operation = (spec: Spec): Spec => ({ to: [{ operation: spec }] });
const when = (name: string, values?: readonly string[], notValues?: readonly string[]): Spec => ({
  when: [{ key: name, values, notValues }],
});

const CLAUSES: readonly Spec[] = [
  operation({ paths: ['/a'] }),
  operation({ paths: ['/a*'] }),
  operation({ paths: ['*.js'] }),
  operation({ paths: ['/a/{*}/b'] }),
  operation({ paths: ['/{**}/x/'] }),
  operation({ notPaths: ['/'] }),
  operation({ paths: ['/a*'], notPaths: ['/ax1', '/a/b'] }),
  operation({ methods: ['DELETE'] }),
  operation({ notMethods: ['GET'] }),
  operation({ hosts: ['*.example'] }),
  operation({ notHosts: ['a.example'] }),
  operation({ ports: ['8080'] }),
  operation({ notPorts: ['80'] }),
  source({ ipBlocks: ['10.0.0.0/8'] }),
  source({ notIpBlocks: ['10.0.0.0/8'] }),
  source({ remoteIpBlocks: ['2001:db8::/32'] }),
  source({ principals: ['cluster.local/ns/foo/sa/x'] }),
  source({ principals: ['*'] }),
  source({ notPrincipals: ['*/sa/x'] }),
  source({ namespaces: ['foo'] }),
  source({ serviceAccounts: ['foo/x'] }),
  source({ requestPrincipals: ['iss/bob'] }),
  source({ requestPrincipals: ['*'] }),
  source({ notRequestPrincipals: ['iss/*'] }),
  when('request.headers[x]', ['a']),
  when('request.headers[x]', ['*']),
  when('request.headers[x]', undefined, ['a*']),
  when('request.headers[:path]', ['/q*']),
  when('request.auth.claims[a][b]', ['c']),
  when('request.auth.claims[groups]', ['*'], ['x1']),
  when('request.auth.audiences', ['me']),
  when('request.auth.presenter', undefined, ['app']),
  when('destination.ip', ['10.1.0.0/16']),
  when('connection.sni', ['a.example']),
];

describe('requestsForRules', () => {
  for (const rule of CLAUSES) {
    it(`reaches both sides of ${JSON.stringify(rule)}`, () => {
      expect(results(allow('a', rule)).map(([first]) => first?.matched)).to.deep.equal([true, false]);
    });
  }

  it('misses a rule by each of its clauses alone', () => {
    const rule = {
      ...source({ requestPrincipals: ['iss/bob'], ipBlocks: ['10.0.0.0/8'] }),
      ...operation({ paths: ['/a'], methods: ['POST'] }),
      ...when('request.headers[x]', ['y']),
    };
    const missed = results(allow('a', rule)).map(([first]) => first?.misses.map(({ path }) => path));

    expect(missed).to.deep.equal([
      [],
      ['to[0].operation.methods'],
      ['to[0].operation.paths'],
      ['from[0].source.requestPrincipals'],
      ['from[0].source.ipBlocks'],
      ['when[0] request.headers[x]'],
    ]);
  });

  it('reaches every alternative of every rule of every action', () => {
    const rules = [
      { from: [{ source: { ipBlocks: ['10.0.0.1'] } }, { source: { ipBlocks: ['10.0.0.2'] } }] },
      { to: [{ operation: { paths: ['/a'] } }, { operation: { paths: ['/b'] } }] },
    ];
    const hits = results(allow('a', ...rules), deny('d', rules[1] ?? {})).map((all) => all.filter(({ matched }) => matched).length);

    expect(hits.filter((count) => count > 0)).to.have.length.greaterThanOrEqual(6);
  });
});
