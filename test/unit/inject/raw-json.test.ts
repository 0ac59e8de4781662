/* Reading of unchecked JSON. */
import { expect } from 'chai';
import { isSame, portOf, rawListOf, rawOf, stringOf, without } from '../../../src/inject/raw-json.ts';

describe('rawOf, rawListOf and stringOf', () => {
  it('return an empty value for the wrong type', () => {
    for (const value of [undefined, null, 5, true, []]) expect(rawOf(value)).to.deep.equal({});
    for (const value of [undefined, null, 5, 'x', {}]) expect(rawListOf(value)).to.deep.equal([]);
    for (const value of [undefined, null, 5, {}, []]) expect(stringOf(value)).to.equal(undefined);
  });

  it('skip elements that are not objects', () => {
    expect(rawListOf([{ a: 1 }, null, 'x', [], { b: 2 }])).to.deep.equal([{ a: 1 }, { b: 2 }]);
  });
});

describe('portOf', () => {
  it('accepts integers from 1 to 65535 only', () => {
    expect([1, 8080, 65_535].map(portOf)).to.deep.equal([1, 8080, 65_535]);
    for (const value of [0, -1, 65_536, 80.5, Number.NaN, '80', null, undefined]) expect(portOf(value), String(value)).to.equal(undefined);
  });
});

describe('without', () => {
  it('returns a copy without the named fields', () => {
    const raw = { a: 1, b: 2, c: 3 };

    expect(without(raw, 'a', 'c', 'missing')).to.deep.equal({ b: 2 });
    expect(raw).to.have.keys('a', 'b', 'c');
  });
});

describe('isSame', () => {
  const same: readonly (readonly [unknown, unknown])[] = [
    [
      { a: 1, b: [{ c: null }] },
      { b: [{ c: null }], a: 1 },
    ],
    [[], []],
    ['x', 'x'],
  ];
  for (const [one, other] of same) {
    it(`is true for ${JSON.stringify(one)} and ${JSON.stringify(other)}`, () => {
      expect(isSame(one, other)).to.equal(true);
    });
  }

  const different: readonly (readonly [unknown, unknown])[] = [
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [{ a: undefined }, {}],
    [{ a: 1 }, { b: 1 }],
    [{}, []],
    [[], {}],
    [null, {}],
    [{ toString: 1 }, {}],
    ['1', 1],
  ];
  for (const [one, other] of different) {
    it(`is false for ${JSON.stringify(one)} and ${JSON.stringify(other)}`, () => {
      expect(isSame(one, other)).to.equal(false);
      expect(isSame(other, one)).to.equal(false);
    });
  }
});
