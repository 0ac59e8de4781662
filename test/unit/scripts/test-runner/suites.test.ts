import { globSync, statSync } from 'node:fs';
import { expect } from 'chai';
import { planRuns, SUITES } from '../../../../scripts/test-runner/suites.ts';

function commands(...args: readonly string[]): readonly string[] {
  return planRuns(args).flatMap(({ prepare, tests }) => [...prepare, ...tests].map((command) => command.join(' ')));
}

describe('arguments of npm test', () => {
  it('run every suite when the list is empty', () => {
    expect(planRuns([]).map(({ suite }) => suite)).to.deep.equal(SUITES);
  });

  it('run named suites in the order of the suites', () => {
    expect(commands('soak', 'conformance').filter((command) => command.startsWith('mocha'))).to.deep.equal([
      'mocha --no-config --exit --fail-zero --timeout 120000 --require ./test/support/leak-hooks.ts test/conformance/**/*.test.ts',
      'mocha --no-config --exit --fail-zero --timeout 120000 --require ./test/support/leak-hooks.ts test/soak/**/*.test.ts',
    ]);
  });

  it('run test files with the options of their suites, and nothing else', () => {
    expect(commands('test/unit/a.test.ts', './test/property/b.test.ts', 'test/conformance/c.test.ts')).to.deep.equal([
      'mocha test/property/b.test.ts',
      'mocha test/unit/a.test.ts',
      'mocha --no-config --exit --fail-zero --timeout 120000 --require ./test/support/leak-hooks.ts test/conformance/c.test.ts',
    ]);
    expect(commands('test/integration/a.test.ts')).to.have.length(2);
  });

  it('divide the files of a suite among processes', () => {
    const [one = [], other = [], ...rest] = planRuns(['unit']).flatMap(({ tests }) => tests);
    const files = [...one, ...other].filter((word) => word !== 'mocha');

    expect(rest).to.deep.equal([]);
    expect(Math.abs(one.length - other.length)).to.be.below(2);
    expect(new Set(files).size).to.equal(files.length);
    expect(files.toSorted()).to.deep.equal(globSync(['test/unit/**/*.test.ts', 'test/property/**/*.test.ts']).toSorted());
  });

  it('run each file of a suite that isolates them in a separate process, the largest first', () => {
    const files = planRuns(['integration']).flatMap(({ tests }) => tests.map((command) => command.at(-1) ?? ''));
    const sizes = files.map((file) => statSync(file).size);
    expect(files).to.have.length.above(40);
    expect(sizes).to.deep.equal(sizes.toSorted((one, other) => other - one));
  });

  it('run only the files of a suite that is named together with files', () => {
    expect(commands('unit', 'test/unit/a.test.ts')).to.deep.equal(['mocha test/unit/a.test.ts']);
  });

  it('run all test files below a directory', () => {
    const below = globSync('test/unit/docs/**/*.test.ts').toSorted();
    expect(
      commands('test/unit/docs/')
        .flatMap((command) => command.split(' ').slice(1))
        .toSorted(),
    ).to.deep.equal(below);
  });

  it('hand options to mocha', () => {
    expect(commands('test/unit/a.test.ts', '--grep', 'refuses')).to.deep.equal(['mocha --grep refuses test/unit/a.test.ts']);
  });

  it('are refused when they are neither', () => {
    expect(() => planRuns(['units'])).to.throw('unknown suite or test file "units"; suites: check, unit,');
    expect(() => planRuns(['src/errors.ts'])).to.throw('unknown suite or test file');
  });
});
