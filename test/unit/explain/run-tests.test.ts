import { expect } from 'chai';
import { explainMessages } from '../../../src/explain/explain-request.ts';
import { type Expected, type PolicyTestResult, runTests } from '../../../src/explain/run-tests.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy, type Request } from './support.ts';

const key = createTestKey();
const ENFORCED = enforce([jwtPolicy(), policy('allow', { rules: [paths('/x'), paths('/a')] })], key);

function run(expected: Expected, request: Request = get('/a')): PolicyTestResult | undefined {
  return runTests([{ name: 'one', expected, explain: () => explainMessages(ENFORCED, request, NOW) }])[0];
}

describe('runTests', () => {
  it('passes when every expected member is equal', () => {
    const request = get('/a', bearer(key.sign({ iss: ISSUER, sub: 'bob' })));
    const result = run({ verdict: 'allow', policy: 'foo/allow', rule: 1, principal: `${ISSUER}/bob`, upstream: { path: '/a' } }, request);

    expect(result).to.deep.include({ name: 'one', passed: true, differences: [] });
  });

  it('passes when no principal is expected and the request has no token', () => {
    expect(run({ principal: '' })?.passed).to.equal(true);
  });

  it('passes when nothing is expected', () => {
    expect(run({}, get('/other'))?.passed).to.equal(true);
  });

  const failures: readonly (readonly [name: string, expected: Expected, target: string, difference: string])[] = [
    ['the verdict', { verdict: 'allow' }, '/b', 'verdict is deny, expected allow (authorization: none of the 2 ALLOW rules matched)'],
    ['the status', { status: 403 }, '/a', 'status is none, expected 403 (AuthorizationPolicy foo/allow rules[1]: an ALLOW rule matched)'],
    [
      'the policy',
      { policy: 'foo/other' },
      '/a',
      'policy is foo/allow, expected foo/other (AuthorizationPolicy foo/allow rules[1]: an ALLOW rule matched)',
    ],
    ['the rule', { rule: 0 }, '/a', 'rule is 1, expected 0 (AuthorizationPolicy foo/allow rules[1]: an ALLOW rule matched)'],
    [
      'the principal',
      { principal: 'me/bob' },
      '/a',
      'principal is , expected me/bob (AuthorizationPolicy foo/allow rules[1]: an ALLOW rule matched)',
    ],
  ];
  for (const [name, expected, target, difference] of failures) {
    it(`fails and names what decided when ${name} differs`, () => {
      expect(run(expected, get(target))).to.deep.include({ passed: false, differences: [difference] });
    });
  }

  it('names what decided only in the first difference, and adds differences of messages', () => {
    const result = run({ verdict: 'allow', status: 200, body: 'x' }, get('/b'));

    expect(result?.differences).to.deep.equal([
      'verdict is deny, expected allow (authorization: none of the 2 ALLOW rules matched)',
      'status is 403, expected 200',
      'body is RBAC: access denied, expected x',
    ]);
  });

  it('runs tests in order', () => {
    const tests = ['b', 'a'].map((name) => ({ name, expected: {}, explain: () => explainMessages(ENFORCED, get('/'), NOW) }));

    expect(runTests(tests).map(({ name }) => name)).to.deep.equal(['b', 'a']);
  });
});
