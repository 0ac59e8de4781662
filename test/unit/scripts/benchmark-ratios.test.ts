import { expect } from 'chai';
import { compareRatios, readRatios } from '../../bench/support/ratios.ts';

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

  it('are noted when they are new or better by more than the tolerance', () => {
    const measured = [
      { name: 'new', value: 2, tolerance: 1.3 },
      { name: 'better', value: 0.5, tolerance: 1.3 },
    ];

    const { failures, notes } = compareRatios({ better: 1 }, measured, all);

    expect(failures).to.deep.equal([]);
    expect(notes).to.have.length(2);
  });
});
