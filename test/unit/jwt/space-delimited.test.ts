import { expect } from 'chai';
import { splitSpaceDelimited } from '../../../src/jwt/space-delimited.ts';

describe('space-delimited claims', () => {
  for (const [value, split] of [
    ['a b', ['a', 'b']],
    ['  a   b ', ['a', 'b']],
    ['a', ['a']],
    ['a\tb,c', ['a\tb,c']],
    ['   ', '   '],
    ['', ''],
    [['a b'], ['a b']],
    [1, 1],
  ] as const) {
    it(`${JSON.stringify(value)} becomes ${JSON.stringify(split)}`, () => {
      expect(splitSpaceDelimited({ scope: value }, ['scope'])['scope']).to.deep.equal(split);
    });
  }

  it('splits only named top-level claims, in a copy', () => {
    const claims = { scope: 'a b', other: 'a b', x: { y: 'a b' }, 'x.y': 'a b' };
    const split = splitSpaceDelimited(claims, ['scope', 'x.y', 'absent']);

    expect({ ...split }).to.deep.equal({ scope: ['a', 'b'], other: 'a b', x: { y: 'a b' }, 'x.y': ['a', 'b'] });
    expect(claims.scope).to.equal('a b');
  });

  it('copies nothing when there is no claim to split', () => {
    const claims = { sub: 'a b' };

    expect(splitSpaceDelimited(claims, ['scope'])).to.equal(claims);
  });
});
