import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { type Coverage, coverageOf } from '../../../src/explain/coverage.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy, type Request } from './support.ts';

const key = createTestKey();
const JWT = jwtPolicy();
const ALLOW = policy('allow', { rules: [paths('/a'), paths('/b')] });
const DENY = policy('deny', { action: 'DENY', rules: [paths('/a')] });

function cover(policies: readonly Policy[], ...requests: readonly Request[]): Coverage {
  const enforced = enforce(policies, key);
  return coverageOf(
    policies,
    requests.map((request) => explainRequest(enforced, request, NOW)),
  );
}

describe('coverageOf', () => {
  it('counts the requests that each rule matched, in the order of the policies', () => {
    const { rules, covered, percent } = cover([JWT, ALLOW], get('/a'), get('/a'), get('/c'));

    expect(rules.map(({ rule, requests }) => [rule.policy, rule.rule, requests])).to.deep.equal([
      ['foo/jwt', 0, 0],
      ['foo/allow', 0, 2],
      ['foo/allow', 1, 0],
    ]);
    expect([covered, percent]).to.deep.equal([1, 33]);
  });

  it('counts a JWT rule that accepted a token', () => {
    const { rules } = cover([JWT], get('/', bearer(key.sign({ iss: ISSUER, sub: 'bob' }))), get('/', bearer('a.b.c')));

    expect(rules.map(({ requests }) => requests)).to.deep.equal([1]);
  });

  it('does not count a matched rule that was not reached', () => {
    const { rules } = cover([DENY, ALLOW], get('/a'));

    expect(rules.map(({ requests }) => requests)).to.deep.equal([1, 0, 0]);
  });

  it('is 100 percent without rules', () => {
    expect(cover([policy('nothing', {})], get('/'))).to.deep.equal({ rules: [], covered: 0, percent: 100 });
  });
});
