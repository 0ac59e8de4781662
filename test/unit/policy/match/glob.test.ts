import { expect } from 'chai';
import { matchesGlob } from '../../../../src/policy/match/glob.ts';

describe('a glob', () => {
  for (const [glob, value, expected] of [
    ['a*c', 'abc', true],
    ['a*c', 'ac', true],
    ['a*c', 'acb', false],
    ['ab*ba', 'aba', false],
    ['*b*', 'abc', true],
    ['*', '', true],
    ['a*b*c', 'a-c-b-c', true],
    ['a*b*c', 'a-c-c', false],
    ['abc', 'abc', true],
    ['abc', 'abcabc', false],
  ] as const) {
    it(`${glob} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
      expect(matchesGlob(glob, value)).to.equal(expected);
    });
  }
});
