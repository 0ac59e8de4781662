import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { findMutants } from '../../../../scripts/mutation/find-mutants.ts';
import { appendResult, isCurrent, type Result, readResults } from '../../../../scripts/mutation/results.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const resultsOf = (...outcomes: readonly Result['outcome'][]): readonly Result[] =>
  findMutants('src/jwt/a.ts', 'const x = 1;').flatMap((mutant) =>
    outcomes.map((outcome) => ({ mutant, source: 's', tests: 't', outcome })),
  );

describe('results of mutants', () => {
  it('are read again, without a line that was not written to its end', () =>
    withDirectory({}, async (directory) => {
      const file = join(directory, 'deep', 'results.jsonl');
      const results = resultsOf('killed', 'survived');
      expect(readResults(file)).to.deep.equal([]);
      for (const result of results) appendResult(file, result);
      appendFileSync(file, '{"mutant":{"id":');

      expect(readResults(file)).to.deep.equal(results);
    }));

  it('hold until the source changes, and those of survivors until the tests do', () => {
    const [killed, survived] = resultsOf('killed', 'survived') as [Result, Result];

    for (const result of [killed, survived]) {
      expect(isCurrent(result, { source: 's', tests: 't' })).to.equal(true);
      expect(isCurrent(result, { source: 'other', tests: 't' })).to.equal(false);
    }
    expect(isCurrent(killed, { source: 's', tests: 'other' })).to.equal(true);
    expect(isCurrent(survived, { source: 's', tests: 'other' })).to.equal(false);
  });
});
