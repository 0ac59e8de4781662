import { expect } from 'chai';
import { findMutants } from '../../../../scripts/mutation/find-mutants.ts';
import { sampleMutants } from '../../../../scripts/mutation/sample-mutants.ts';

const source = `${'const x = 1;\n'.repeat(50)}if (a) b();\nif (c) d();\nconst y = e < f;`;
const mutants = findMutants('a.ts', source);
const operators = (count: number): readonly string[] => sampleMutants(mutants, count, 's').map(({ operator }) => operator);

describe('sampleMutants', () => {
  it('takes operators in turns, and the rest from those that have more', () => {
    expect(operators(4).toSorted()).to.deep.equal(['boundary', 'constant', 'negate condition', 'remove statement']);
    expect(operators(8).filter((operator) => operator === 'constant')).to.have.length(3);
    expect(operators(1000)).to.have.length(mutants.length);
  });

  it('gives the same sample for the same seed, and another for another', () => {
    const ids = (seed: string): readonly string[] => sampleMutants(mutants, 20, seed).map(({ id }) => id);

    expect(ids('one')).to.deep.equal(ids('one'));
    expect(ids('one')).not.to.deep.equal(ids('two'));
    expect(new Set(ids('one')).size).to.equal(20);
  });

  it('has none of none', () => {
    expect(sampleMutants([], 5, 's')).to.deep.equal([]);
  });
});
