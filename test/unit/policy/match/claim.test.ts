/*
 * Claims of a verified payload.
 */
import { expect } from 'chai';
import type { Json } from '../../../../src/policy/facts.ts';
import { lookUpClaim, matchesClaim } from '../../../../src/policy/match/claim.ts';

const CLAIMS: { readonly [key: string]: Json } = JSON.parse(
  '{"groups":["dev","ops"],"realm":{"roles":["a"],"deep":{"x":"y"}},"n":5,"nil":null,"list":[{"x":"y"}],"__proto__":{"polluted":"yes"}}',
);

describe('claim', () => {
  const lookups: readonly (readonly [path: readonly string[], value: Json | undefined])[] = [
    [['groups'], ['dev', 'ops']],
    [['realm', 'roles'], ['a']],
    [['realm', 'deep', 'x'], 'y'],
    [['nil'], null],
    [['nil', 'x'], undefined],
    [['absent'], undefined],
    [['n', 'x'], undefined],
    [['list', '0'], undefined],
    [['groups', 'length'], undefined],
    [['constructor'], undefined],
    [['toString'], undefined],
    [['__proto__', 'polluted'], 'yes'],
    [['realm', '__proto__'], undefined],
  ];
  for (const [path, value] of lookups) {
    it(`finds ${JSON.stringify(value)} at ${path.join('.')}`, () => {
      expect(lookUpClaim(CLAIMS, path)).to.deep.equal(value);
    });
  }

  it('is absent when there is no token', () => {
    expect(lookUpClaim(undefined, ['iss'])).to.equal(undefined);
  });

  const values: readonly (readonly [Json | undefined, boolean])[] = [
    ['a', true],
    ['b', false],
    [['b', 'a'], true],
    [['b'], false],
    [[], false],
    [[1, 'a'], true],
    [[['a']], false],
    [1, false],
    [true, false],
    [null, false],
    [{ a: 'a' }, false],
    [undefined, false],
  ];
  for (const [value, matches] of values) {
    it(`${JSON.stringify(value)} ${matches ? 'matches' : 'does not match'} a`, () => {
      expect(matchesClaim(value, (text) => text === 'a')).to.equal(matches);
    });
  }
});
