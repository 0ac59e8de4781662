import { expect } from 'chai';
import { changeQuery } from '../../../src/filters/change-query.ts';

describe('changing a query', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[], string])[] = [
    ['/p?b=1&a', [], [], '/p?b=1&a'],
    ['/p', ['a', '1'], [], '/p?a=1'],
    ['/p?b=1&a&b=2', ['c', '3'], [], '/p?a=&b=1&b=2&c=3'],
    ['/p?b=1&a=2&b=3', ['b', '4'], [], '/p?a=2&b=4'],
    ['/p?b=1&a=2', [], ['a'], '/p?b=1'],
    ['/p?a=1', [], ['a'], '/p'],
    ['/p?a=1&&=2', ['a', 'x=y'], ['no'], '/p?=2&a=x=y'],
    ['/p?a=%20+', ['b', ''], [], '/p?a=%20+&b='],
    ['/p?a=1?b', [], ['c'], '/p?a=1?b'],
  ];
  for (const [target, set, remove, expected] of cases) {
    it(`turns ${target} with ${set.join('=')} and without ${remove.join()} into ${expected}`, () => {
      expect(changeQuery(target, { set, remove })).to.equal(expected);
    });
  }
});
