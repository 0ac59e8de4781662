import { expect } from 'chai';
import { createReachedRules } from '../../../src/explain/reached-rules.ts';
import { ruleText } from '../../../src/explain/rule-ref.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy } from './support.ts';

const key = createTestKey();

function notReached(policies: Parameters<typeof enforce>[0], ...requests: readonly ReturnType<typeof get>[]): readonly string[] {
  const reached = createReachedRules(enforce(policies, key), NOW);
  for (const request of requests) reached.add(request);
  return reached.notReached().map(ruleText);
}

describe('createReachedRules', () => {
  const allow = policy('allow', { rules: [paths('/a'), paths('/b')] });

  it('lists every rule before the first request', () => {
    expect(notReached([jwtPolicy(), allow])).to.deep.equal([
      'RequestAuthentication foo/jwt jwtRules[0]',
      'AuthorizationPolicy foo/allow rules[0]',
      'AuthorizationPolicy foo/allow rules[1]',
    ]);
  });

  it('leaves out rules that matched and JWT rules that accepted a token', () => {
    const token = bearer(key.sign({ iss: ISSUER, sub: 'bob' }));

    expect(notReached([jwtPolicy(), allow], get('/a', token))).to.deep.equal(['AuthorizationPolicy foo/allow rules[1]']);
  });

  it('does not count an ALLOW rule behind a DENY rule that matched', () => {
    const deny = policy('deny', { action: 'DENY', rules: [paths('/a')] });

    expect(notReached([allow, deny], get('/a'))).to.deep.equal([
      'AuthorizationPolicy foo/allow rules[0]',
      'AuthorizationPolicy foo/allow rules[1]',
    ]);
  });

  it('counts no rule for a request whose token is refused', () => {
    expect(notReached([jwtPolicy(), allow], get('/a', bearer('a.b.c')))).to.have.length(3);
  });

  it('counts both of two equal JWT rules, and a CUSTOM rule before any token', () => {
    const custom = policy('custom', { action: 'CUSTOM', provider: { name: 'ext' }, rules: [paths('/c')] });
    const twice = policy('more', { jwtRules: [{ issuer: ISSUER, jwksUri: `${ISSUER}/keys` }] }, { kind: 'RequestAuthentication' });
    const token = bearer(key.sign({ iss: ISSUER, sub: 'bob' }));

    expect(notReached([jwtPolicy(), twice, custom], get('/c', token))).to.deep.equal([]);
  });
});
