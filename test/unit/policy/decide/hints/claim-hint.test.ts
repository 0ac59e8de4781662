import { expect } from 'chai';
import { claimHint } from '../../../../../src/policy/decide/hints/claim-hint.ts';
import type { Json } from '../../../../../src/policy/facts.ts';
import { parseStringMatch } from '../../../../../src/policy/match/string-match.ts';

const hint = (path: string, value: string, claims: { readonly [key: string]: Json }): string | undefined => {
  const found = claimHint(path.split('/'), [parseStringMatch(value)], claims);
  return found === undefined ? undefined : `${found.near ? 'near' : 'far'}: ${found.message}`;
};

describe('a hint at a claim', () => {
  for (const [what, path, value, claims, expected] of [
    ['a number with that text', 'n', '7', { n: 7 }, 'near: claim n is a number; only strings and arrays of strings match'],
    ['another number', 'n', '7', { n: 8 }, 'far: claim n is a number; only strings and arrays of strings match'],
    ['a boolean with that text', 'b', 'true', { b: true }, 'near: claim b is a boolean; only strings and arrays of strings match'],
    ['null', 'a', 'x', { a: null }, 'far: claim a is null'],
    ['an object', 'a', 'x', { a: { b: 'c' } }, 'far: claim a is an object; only strings and arrays of strings match'],
    [
      'a name with a string inside',
      'roles',
      'admin',
      { roles: { admin: 'yes' } },
      'near: admin is the name of a member of claim roles: use request.auth.claims[roles][admin] with values ["*"], or a flat claim of the identity provider',
    ],
    [
      'a name with an object inside',
      'roles',
      'admin',
      { roles: { admin: { of: '', since: 'now' } } },
      'near: admin is the name of a member of claim roles: use request.auth.claims[roles][admin][since] with values ["*"], or a flat claim of the identity provider',
    ],
    ...([null, true, 1, '', ['x'], {}, { deep: {} }] as const).map(
      (inner) =>
        [
          `a name with ${JSON.stringify(inner)} inside`,
          'roles',
          'admin',
          { roles: { admin: inner } },
          'near: admin is the name of a member of claim roles, and only values are compared: let the identity provider send a flat claim',
        ] as const,
    ),
    ['words with commas', 'a', 'x', { a: 'y, x' }, 'near: claim a is one string with commas; only arrays are compared element by element'],
    [
      'words with spaces',
      'a',
      'x',
      { a: 'y x' },
      'near: claim a is one string with spaces: add it to spaceDelimitedClaims of the JWT rule',
    ],
    ['another string', 'a', 'x', { a: 'y' }, undefined],
    ['an empty array', 'a', 'x', { a: [] }, 'far: claim a is an empty array'],
    ['an array of numbers', 'a', 'x', { a: [1] }, 'far: claim a is an array without strings; only strings match'],
    ['another array', 'a', 'x', { a: ['y'] }, undefined],
    ['an array in another case', 'a', 'x', { a: ['y', 'X'] }, 'near: differs only in case from x'],
    ['a flat name', 'a/b', 'x', { 'a.b': 'x' }, 'near: claim a.b is absent; the token has it as request.auth.claims[a.b]'],
    ['a nested name', 'a.b', 'x', { a: { b: 'x' } }, 'near: claim a.b is absent; the token has it as request.auth.claims[a][b]'],
    ['a quoted name', '"a"', 'x', { a: 'x' }, 'near: claim "a" is absent; the token has it as request.auth.claims[a]'],
    [
      'a name in another case',
      'Groups',
      'x',
      { groups: ['x'] },
      'near: claim Groups is absent; the token has groups: claim names are case-sensitive',
    ],
    ['a string on the way', 'a/b', 'x', { a: 'x' }, 'far: claim a is not an object, so a.b is absent'],
    ['other names', 'c', 'x', { b: 1, a: 2 }, 'far: claim c is absent; the token has a, b'],
    ['other names inside', 'a/c', 'x', { a: { b: 1 } }, 'far: claim a.c is absent; a has b'],
    ['no name', 'c', 'x', {}, 'far: claim c is absent'],
  ] as const) {
    it(`is ${expected === undefined ? 'absent' : expected.split(':')[0]} for ${what}`, () => {
      expect(hint(path, value, claims)).to.equal(expected);
    });
  }

  it('lists twelve names at most', () => {
    const claims = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${at}`, 1]));

    expect(hint('c', 'x', claims(12))).to.contain('n11');
    expect(hint('c', 'x', claims(13))).to.equal('far: claim c is absent');
  });
});
