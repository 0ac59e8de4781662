import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { BENCHMARKS, benchmarkOf, NOT_STORED } from '../../bench/support/benchmarks.ts';
import { type Baseline, compareRatios, readRatios } from '../../bench/support/ratios.ts';

const all = (): boolean => true;

describe('ratios of benchmarks', () => {
  it('are read from the lines that benchmarks print, among others', () => {
    const output = ['p50 3 ms, ratio 1.20', 'ratio proxy/envoy/cpu 0.412 tolerance 1.30', 'ratio of nothing', ''].join('\n');

    expect(readRatios(output)).to.deep.equal([{ name: 'proxy/envoy/cpu', value: 0.412, tolerance: 1.3 }]);
  });

  it('fail when one is worse than its tolerance allows, and not at it', () => {
    const baseline = { a: 1, b: 1 };
    const measured = [
      { name: 'a', value: 1.3, tolerance: 1.3 },
      { name: 'b', value: 1.31, tolerance: 1.3 },
    ];

    const { failures, notes } = compareRatios(baseline, measured, all);

    expect(failures).to.deep.equal(['b 1.31: more than 1.3 times the 1 of the baseline']);
    expect(notes).to.deep.equal([]);
  });

  it('fail when one of the baseline was not measured by a benchmark that ran', () => {
    const expected = (name: string): boolean => name.startsWith('proxy/');

    expect(compareRatios({ 'proxy/a': 1, 'grpc/a': 1 }, [], expected).failures).to.deep.equal(['proxy/a: not measured']);
  });

  it('fail when the baseline does not have them', () => {
    const { failures } = compareRatios({}, [{ name: 'new', value: 2, tolerance: 1.3 }], all);

    expect(failures).to.deep.equal(['new 2: not in the baseline, which --store writes']);
  });

  it('are noted when they are better by more than the tolerance', () => {
    const { failures, notes } = compareRatios({ better: 1 }, [{ name: 'better', value: 0.5, tolerance: 1.3 }], all);

    expect(failures).to.deep.equal([]);
    expect(notes).to.have.length(1);
  });
});

describe('test/bench/baseline.json', () => {
  const baseline = JSON.parse(readFileSync(new URL('../../bench/baseline.json', import.meta.url), 'utf8')) as Baseline;
  const stored = new Set(Object.keys(baseline).map(benchmarkOf));

  it('has ratios of every benchmark that prints some, and of no other', () => {
    const expected = Object.entries(BENCHMARKS).filter(([name, { ratios }]) => ratios === 'baseline' && !NOT_STORED.includes(name));
    expect([...stored].toSorted(), 'NOT_STORED names those that are still to be stored').to.deep.equal(
      expected.map(([name]) => name).toSorted(),
    );
  });

  it('has positive numbers only', () => {
    for (const [name, value] of Object.entries(baseline)) expect(value, name).to.be.above(0);
  });

  it('knows which benchmarks print ratios', () => {
    for (const [name, { ratios }] of Object.entries(BENCHMARKS)) {
      const source = readFileSync(new URL(`../../bench/${name}.ts`, import.meta.url), 'utf8');
      const isPrinted = source.includes(`reportRatio(['${name}',`) || source.includes(`parts: ['${name}',`);
      expect(isPrinted, name).to.equal(ratios === 'baseline');
    }
  });
});
