import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { findMutants } from '../../../../scripts/mutation/find-mutants.ts';
import { appendResult, type Outcome, type Result, readResults, summaryOf } from '../../../../scripts/mutation/results.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const resultsOf = (path: string, ...outcomes: readonly Outcome[]): readonly Result[] =>
  findMutants(path, 'const x = 1;').flatMap((mutant) => outcomes.map((outcome) => ({ mutant, outcome })));

describe('results of mutants', () => {
  it('are read again, without a line that was not written to its end', () =>
    withDirectory({}, async (directory) => {
      const file = join(directory, 'deep', 'results.jsonl');
      const results = resultsOf('src/jwt/a.ts', 'killed', 'survived');
      expect(readResults(file)).to.deep.equal([]);
      for (const result of results) appendResult(file, result);
      appendFileSync(file, '{"mutant":{"id":');

      expect(readResults(file)).to.deep.equal(results);
    }));

  it('are counted for each package', () => {
    const results = [...resultsOf('src/jwt/deep/a.ts', 'killed', 'killed', 'survived'), ...resultsOf('src/agent/a.ts', 'survived')];

    expect(
      summaryOf(results)
        .split('\n')
        .map((line) => line.split(/ +/)),
    ).to.deep.equal([
      ['package', 'killed', 'survived'],
      ['agent', '0', '1'],
      ['jwt', '2', '1'],
    ]);
  });
});
