import { expect } from 'chai';
import fc from 'fast-check';
import { contradictionOf, modelPair } from '../support/analysis-model.ts';
import { randomContradiction } from '../support/proof-requests.ts';

describe('proofs about programs', () => {
  it('agree with brute force over every request of a small vocabulary', () => {
    fc.assert(
      fc.property(modelPair, (pair) => {
        expect(contradictionOf(pair)).to.equal(undefined);
      }),
      { numRuns: 150 },
    );
  });

  it('are not contradicted by random requests to larger sets of rules', () => {
    expect(randomContradiction({ rules: 12, requests: 3000, seed: 1 })).to.equal(undefined);
  });
});
