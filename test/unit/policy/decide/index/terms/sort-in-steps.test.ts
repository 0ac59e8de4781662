import { expect } from 'chai';
import fc from 'fast-check';
import { sortInSteps } from '../../../../../../src/policy/decide/index/terms/sort-in-steps.ts';
import { doSteps } from '../../../../../../src/steps.ts';

describe('sortInSteps', () => {
  it('sorts as the engine does, and keeps the order of equal values', () => {
    const byKey = (left: readonly [number, number], right: readonly [number, number]): number => left[0] - right[0];
    fc.assert(
      fc.property(fc.array(fc.nat(500), { maxLength: 3000, size: 'max' }), (keys) => {
        const values = keys.map((key, at) => [key, at] as const);
        expect(doSteps(sortInSteps(values, byKey))).to.deep.equal(values.toSorted(byKey));
      }),
      { numRuns: 30 },
    );
  });

  it('takes many steps for many values', () => {
    let steps = 0;
    const values = Array.from({ length: 10_000 }, (_, at) => (at * 7919) % 10_000);
    for (const _ of sortInSteps(values, (left, right) => left - right)) steps += 1;

    expect(steps).to.be.above(50);
  });
});
