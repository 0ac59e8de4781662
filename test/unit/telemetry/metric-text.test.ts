/*
 * Metrics as Prometheus reads them.
 */
import { expect } from 'chai';
import { createDistribution, createTally, renderMetrics } from '../../../src/telemetry/metric-text.ts';

describe('metric text', () => {
  it('writes counters and gauges with help and type', () => {
    const tally = createTally('counter', 'a_total', 'Things.');
    tally.add(2);
    tally.add(1);
    expect(renderMetrics([tally])).to.equal('# HELP a_total Things.\n# TYPE a_total counter\na_total 3\n');
  });

  it('escapes label values and writes odd numbers as Prometheus does', () => {
    const values = [1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const metric = {
      name: 'b',
      help: 'B.',
      type: 'gauge',
      read: () => values.map((value) => ({ labels: { x: 'a"\\\n', y: '' }, value })),
    } as const;
    const labels = '{x="a\\"\\\\\\n",y=""}';
    expect(renderMetrics([metric])).to.equal(
      `# HELP b B.\n# TYPE b gauge\nb${labels} 1.5\nb${labels} NaN\nb${labels} +Inf\nb${labels} -Inf\n`,
    );
  });

  it('writes buckets that add up, bounds included', () => {
    const distribution = createDistribution('c_seconds', 'C.', [0.1, 1]);
    for (const value of [0.1, 0.5, 1, 5]) distribution.observe(value);
    expect(renderMetrics([distribution]).split('\n').slice(2, -1)).to.deep.equal([
      'c_seconds_bucket{le="0.1"} 1',
      'c_seconds_bucket{le="1"} 3',
      'c_seconds_bucket{le="+Inf"} 4',
      'c_seconds_sum 6.6',
      'c_seconds_count 4',
    ]);
  });
});
