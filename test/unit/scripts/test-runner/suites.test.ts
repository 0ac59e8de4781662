import { statSync } from 'node:fs';
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
    expect(commands('conformance', 'unit')).to.deep.equal([
      'mocha test/unit/**/*.test.ts test/property/**/*.test.ts',
      'mocha --no-config --exit --fail-zero --timeout 120000 --require ./test/support/leak-hooks.ts test/conformance/**/*.test.ts',
    ]);
  });

  it('run test files with the options of their suites, and nothing else', () => {
    expect(commands('test/unit/a.test.ts', './test/property/b.test.ts', 'test/conformance/c.test.ts')).to.deep.equal([
      'mocha test/unit/a.test.ts test/property/b.test.ts',
      'mocha --no-config --exit --fail-zero --timeout 120000 --require ./test/support/leak-hooks.ts test/conformance/c.test.ts',
    ]);
    expect(commands('test/integration/a.test.ts')).to.have.length(2);
  });

  it('run each file of a suite with lanes in a separate process, the largest first', () => {
    const files = planRuns(['integration']).flatMap(({ tests }) => tests.map((command) => command.at(-1) ?? ''));
    const sizes = files.map((file) => statSync(file).size);
    expect(files).to.have.length.above(40);
    expect(sizes).to.deep.equal(sizes.toSorted((one, other) => other - one));
  });

  it('run only the files of a suite that is named together with files', () => {
    expect(commands('unit', 'test/unit/a.test.ts')).to.deep.equal(['mocha test/unit/a.test.ts']);
  });

  it('run all test files below a directory', () => {
    expect(commands('test/unit/cli/')).to.deep.equal(['mocha test/unit/cli/**/*.test.ts']);
  });

  it('hand options to mocha', () => {
    expect(commands('test/unit/a.test.ts', '--grep', 'refuses')).to.deep.equal(['mocha --grep refuses test/unit/a.test.ts']);
  });

  it('are refused when they are neither', () => {
    expect(() => planRuns(['units'])).to.throw('unknown suite or test file "units"; suites: check, unit,');
    expect(() => planRuns(['src/errors.ts'])).to.throw('unknown suite or test file');
  });
});
