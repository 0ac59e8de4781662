import { expect } from 'chai';
import type { Classified, Kind } from '../../../../scripts/mutation/classification.ts';
import { findMutants } from '../../../../scripts/mutation/find-mutants.ts';
import { reportOn } from '../../../../scripts/mutation/report.ts';
import type { Result } from '../../../../scripts/mutation/results.ts';

/** One result for each mutant of ten lines of constants; the last `survivors` of them survive. */
function resultsOf(path: string, survivors: number): readonly Result[] {
  const mutants = findMutants(path, Array.from({ length: 10 }, (_, line) => `const x${line} = ${line};`).join('\n'));
  return mutants.map((mutant, at) => ({
    mutant,
    source: '',
    tests: '',
    ...(at < 10 - survivors ? { outcome: 'killed', failure: 'some test' } : { outcome: 'survived' }),
  }));
}

function classify(kind: Kind, results: readonly Result[]): ReadonlyMap<string, Classified> {
  return new Map(results.map(({ mutant: { id } }) => [id, { id, mutant: '', kind, reason: 'for a reason' }]));
}

const rowsOf = (text: string): readonly (readonly string[])[] =>
  text
    .split('\n')
    .filter((line) => line.endsWith(' %'))
    .map((line) => line.split(/ +/));

describe('the report on mutants', () => {
  it('counts them by package and kind, and leaves out of the rate what is equivalent or a matter of cost', () => {
    const jwt = resultsOf('src/jwt/deep/a.ts', 5);
    const agent = resultsOf('src/agent/a.ts', 0);
    const known = new Map([
      ...classify('equivalent', jwt.slice(5, 6)),
      ...classify('cost only', jwt.slice(6, 8)),
      ...classify('log text', jwt.slice(8, 9)),
    ]);
    const { text } = reportOn([...jwt, ...agent], known);

    expect(text).to.match(/\npackage +drawn +killed +equivalent +cost only +log text +unclassified +rate\n/);
    expect(rowsOf(text)).to.deep.equal([
      ['agent', '10', '10', '0', '0', '0', '0', '100.0', '%'],
      ['jwt', '10', '5', '1', '2', '1', '1', '71.4', '%'],
    ]);
  });

  it('is good when each package has nine in ten and each survivor is classified', () => {
    const one = resultsOf('src/jwt/a.ts', 1);
    const two = resultsOf('src/jwt/a.ts', 2);

    expect(reportOn(one, classify('log text', one.slice(9))).ok).to.equal(true);
    expect(reportOn(one, new Map()).ok).to.equal(false);
    for (const kind of ['equivalent', 'cost only'] as const) expect(reportOn(two, classify(kind, two.slice(8))).ok).to.equal(true);
    expect(reportOn(two, classify('log text', two.slice(8))).ok).to.equal(false);
  });

  it('lists each survivor with what is known about it, and what is classified but noticed', () => {
    const results = resultsOf('src/jwt/a.ts', 2);
    const { text } = reportOn(results, classify('cost only', [results[0], results[9]] as readonly Result[]));

    expect(text).to.include('src/jwt/a.ts:9 constant: 9\n    not classified');
    expect(text).to.include('src/jwt/a.ts:10 constant: 10\n    cost only: for a reason');
    expect(text).to.include('src/jwt/a.ts:1 constant: 1\n    classified, but noticed by: some test');
    expect(text).to.include('1 survivors are not classified.');
  });
});
