import { expect } from 'chai';
import { canonicalAudience, checkAudience, checkIssuer, checkTime } from '../../../src/jwt/check-claims.ts';
import { type ParsedToken, parseToken } from '../../../src/jwt/parse-token.ts';
import { unsigned } from './tokens.ts';

function tokenWith(claims: Readonly<Record<string, unknown>>): ParsedToken {
  const token = parseToken(unsigned(claims));
  if (typeof token === 'string') throw new Error(token);
  return token;
}

describe('claim checks', () => {
  it('compares the issuer exactly; an empty one allows any', () => {
    expect(checkIssuer(tokenWith({ iss: 'a' }), 'a')).to.equal(undefined);
    expect(checkIssuer(tokenWith({ iss: 'a' }), '')).to.equal(undefined);
    expect(checkIssuer(tokenWith({}), '')).to.equal(undefined);
    for (const issuer of ['A', 'a/', 'ab', ' a']) {
      expect(checkIssuer(tokenWith({ iss: 'a' }), issuer), issuer).to.equal('Jwt issuer is not configured');
    }
    expect(checkIssuer(tokenWith({}), 'a')).to.equal('Jwt issuer is not configured');
  });

  for (const [claims, now, fault] of [
    [{}, 0, undefined],
    [{ exp: 0 }, 10_000, undefined],
    [{ exp: 0.9 }, 10_000, undefined],
    [{ exp: 1000 }, 1060, undefined],
    [{ exp: 1000 }, 1061, 'Jwt is expired'],
    [{ nbf: 1060 }, 1000, undefined],
    [{ nbf: 1061 }, 1000, 'Jwt not yet valid'],
    [{ nbf: 5000, exp: 10 }, 1000, 'Jwt not yet valid'],
    [{ iat: 5000 }, 1000, undefined],
    [{ exp: 2 ** 63 }, 1000, undefined],
  ] as const) {
    it(`${JSON.stringify(claims)} at ${now}: ${fault ?? 'good'}`, () => {
      expect(checkTime(tokenWith(claims), now)).to.equal(fault);
    });
  }

  for (const [text, canonical] of [
    ['https://svc.example/', 'svc.example'],
    ['http://svc.example', 'svc.example'],
    ['svc.example/', 'svc.example'],
    ['https://svc.example//', 'svc.example/'],
    ['HTTPS://svc.example', 'HTTPS://svc.example'],
    ['https://http://x', 'http://x'],
    ['', ''],
  ] as const) {
    it(`compares audience ${text} as ${canonical}`, () => {
      expect(canonicalAudience(text)).to.equal(canonical);
    });
  }

  it('requires one common audience unless the rule has none', () => {
    const allowed = new Set(['a', 'b']);
    expect(checkAudience(tokenWith({ aud: ['x', 'https://b/'] }), allowed)).to.equal(undefined);
    expect(checkAudience(tokenWith({ aud: 'a' }), allowed)).to.equal(undefined);
    expect(checkAudience(tokenWith({}), new Set())).to.equal(undefined);
    for (const aud of [undefined, [], 'A', ['c']]) {
      expect(checkAudience(tokenWith(aud === undefined ? {} : { aud }), allowed)).to.equal('Audiences in Jwt are not allowed');
    }
  });
});
