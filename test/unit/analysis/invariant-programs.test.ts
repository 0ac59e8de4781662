import { expect } from 'chai';
import fc from 'fast-check';
import { complementOf } from '../../../src/analysis/invariant-programs.ts';
import type { RequestFacts } from '../../../src/policy/facts.ts';
import { compileClause } from '../../../src/policy/match/compile-clause.ts';
import type { Clause } from '../../../src/policy/model/program.ts';
import { modelEntries, modelFacts, requestsOver } from '../../support/analysis-model.ts';

function matches(entries: readonly (readonly Clause[])[], facts: RequestFacts): boolean {
  return entries.some((clauses) => clauses.every((clause) => compileClause(clause)(facts, facts.claims)));
}

describe('complementOf', () => {
  it('matches exactly the requests that none of the entries matches', () => {
    fc.assert(
      fc.property(modelEntries, ({ attributes, entries }) => {
        const opposite = complementOf(entries, 100) ?? [];
        for (const request of requestsOver(attributes)) {
          const facts = modelFacts(request);
          expect(matches(opposite, facts)).to.equal(!matches(entries, facts), JSON.stringify({ opposite, request }));
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('is everything for no entry, and nothing for one that matches everything', () => {
    expect(complementOf([], 1)).to.deep.equal([[]]);
    expect(complementOf([[]], 1)).to.deep.equal([]);
  });

  it('has a limit', () => {
    const clause: Clause = { attribute: 'destinationPort', field: 'ports', anyOf: [80], noneOf: [81] };

    expect(complementOf([[clause], [clause]], 3)).to.equal(undefined);
    expect(complementOf([[clause], [clause]], 4)).to.have.lengthOf(4);
  });
});
