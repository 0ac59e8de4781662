/*
 * String matches in Istio's syntax.
 */
import { expect } from 'chai';
import {
  asciiLowerCase,
  compileStringMatch,
  parseStringMatch,
  toByteMatch,
  toByteString,
} from '../../../../src/policy/match/string-match.ts';

describe('string match', () => {
  const written: readonly (readonly [string, unknown])[] = [
    ['*', { kind: 'present' }],
    ['a', { kind: 'exact', value: 'a' }],
    ['', { kind: 'exact', value: '' }],
    ['a*', { kind: 'prefix', value: 'a' }],
    ['*a', { kind: 'suffix', value: 'a' }],
    ['*a*', { kind: 'suffix', value: 'a*' }],
    ['**', { kind: 'suffix', value: '*' }],
    ['a*b', { kind: 'exact', value: 'a*b' }],
    ['a?{b}', { kind: 'exact', value: 'a?{b}' }],
  ];
  for (const [text, match] of written) {
    it(`parses ${JSON.stringify(text)}`, () => {
      expect(parseStringMatch(text)).to.deep.equal(match);
    });
  }

  const outcomes: readonly (readonly [pattern: string, value: string, matches: boolean])[] = [
    ['ab', 'ab', true],
    ['ab', 'aB', false],
    ['ab', 'abc', false],
    ['ab*', 'ab', true],
    ['ab*', 'abc', true],
    ['ab*', 'xab', false],
    ['*ab', 'ab', true],
    ['*ab', 'xab', true],
    ['*ab', 'abx', false],
    ['*', 'x', true],
    ['*', '', false],
    ['*', 'a\nb', false],
  ];
  for (const [pattern, value, matches] of outcomes) {
    it(`${JSON.stringify(pattern)} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
      expect(compileStringMatch(parseStringMatch(pattern), 'non-empty')(value)).to.equal(matches);
    });
  }

  it('matches any value for * when presence is enough', () => {
    expect(compileStringMatch({ kind: 'present' }, 'any')('')).to.equal(true);
  });

  it('converts only ASCII letters to lower case', () => {
    expect(asciiLowerCase('ABC.Example:80')).to.equal('abc.example:80');
    expect(asciiLowerCase('A\u212aÀ')).to.equal('a\u212aÀ');
  });

  it('converts a string to one character per UTF-8 byte', () => {
    for (const text of ['plain', 'é', '€', '😀', 'a\u00e9b']) {
      expect(toByteString(text)).to.equal(Buffer.from(text, 'utf8').toString('latin1'));
    }
    expect(toByteMatch({ kind: 'prefix', value: 'é' })).to.deep.equal({ kind: 'prefix', value: '\u00c3\u00a9' });
    expect(toByteMatch({ kind: 'present' })).to.deep.equal({ kind: 'present' });
  });
});
