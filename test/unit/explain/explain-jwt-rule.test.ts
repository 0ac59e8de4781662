import { expect } from 'chai';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { JwtRuleExplanation } from '../../../src/explain/explanation.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, policy, type Request } from './support.ts';

const key = createTestKey();
const good = { iss: ISSUER, sub: 'bob' };

function explainRule(request: Request, rule: object = {}): JwtRuleExplanation | undefined {
  return explainRequest(enforce([jwtPolicy(rule)], key), request, NOW).authentication[0];
}

describe('explainJwtRule', () => {
  it('names the rule and its issuer', () => {
    expect(explainRule(get('/'))).to.deep.include({
      rule: { kind: 'RequestAuthentication', policy: 'foo/jwt', rule: 0 },
      issuer: ISSUER,
    });
  });

  const accepted: readonly (readonly [name: string, claims: Parameters<typeof key.sign>[0], text: string])[] = [
    ['the time until it expires', { ...good, exp: NOW + 7200 }, 'it expires in 2 h'],
    ['a token that never expires', good, 'it never expires'],
    ['a token within the clock skew', { ...good, exp: NOW - 10 }, 'it expired 10 s ago, within the allowed clock skew of 60 s'],
    ['a token without sub', { iss: ISSUER }, 'it has no sub, so it matches no request principal'],
  ];
  for (const [name, claims, text] of accepted) {
    it(`accepts and reports ${name}`, () => {
      const explained = explainRule(get('/', bearer(key.sign(claims))));

      expect(explained?.outcome).to.equal('accepted');
      expect(explained?.text).to.include(text);
    });
  }

  it('reports where it looked when there is no token', () => {
    const explained = explainRule(get('/'), { fromHeaders: [{ name: 'x-jwt' }], fromCookies: ['session'] });

    expect(explained).to.deep.include({ outcome: 'no token', text: 'no token in header x-jwt, cookie session' });
  });

  it('refuses a missing token when presence is REQUIRED', () => {
    const explained = explainRule(get('/'), { presence: 'REQUIRED' });

    expect(explained).to.deep.include({ outcome: 'refused', fault: 'Jwt is missing' });
    expect(explained?.text).to.match(/, and presence is REQUIRED$/);
  });

  it('ignores the token of a CORS preflight request', () => {
    const headers = ['Origin', 'https://a.example', 'Access-Control-Request-Method', 'GET', ...bearer('a.b.c')];
    const explained = explainRule(get('/', headers, { method: 'OPTIONS' }));

    expect(explained).to.deep.include({ outcome: 'no token', text: 'a CORS preflight request: its token is ignored' });
  });

  it('reports the fault of the token that is invalid when there are several', () => {
    const request = get(`/?access_token=${key.sign({ ...good, exp: NOW - 7200 })}`, bearer(key.sign(good)));

    expect(explainRule(request)).to.deep.include({
      outcome: 'refused',
      fault: 'Jwt is expired',
      text: 'token expired 2 h ago (exp 2026-01-31T10:00:00Z)',
    });
  });

  it('does not remove the token from the request', () => {
    const request = get('/', bearer(key.sign(good)));
    const before = [...request.headers];
    explainRule(request);

    expect(request.headers).to.deep.equal(before);
  });

  it('explains every rule of every RequestAuthentication', () => {
    const two = policy(
      'two',
      { jwtRules: ['a', 'b'].map((issuer) => ({ issuer, jwksUri: 'https://keys.example' })) },
      { kind: 'RequestAuthentication' },
    );
    const { authentication } = explainRequest(enforce([jwtPolicy(), two], key), get('/'), NOW);

    expect(authentication.map(({ issuer }) => issuer)).to.have.members([ISSUER, 'a', 'b']);
  });
});
