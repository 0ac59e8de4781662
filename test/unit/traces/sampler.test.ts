import { expect } from 'chai';
import type { TracesSampler } from '../../../src/api/kube/agent-contract.ts';
import { createSampler } from '../../../src/traces/sampler.ts';

const LOW = `${'f'.repeat(16)}${'0'.repeat(15)}1`;
const HIGH = `${'0'.repeat(16)}${'f'.repeat(16)}`;
const SAMPLED = { traceId: HIGH, spanId: '1'.repeat(16), isSampled: true };
const UNSAMPLED = { ...SAMPLED, traceId: LOW, isSampled: false };

describe('sampler', () => {
  const rows: readonly (readonly [name: TracesSampler, root: readonly boolean[], sampled: boolean, unsampled: boolean])[] = [
    ['always_on', [true, true], true, true],
    ['always_off', [false, false], false, false],
    ['traceidratio', [true, false], false, true],
    ['parentbased_always_on', [true, true], true, false],
    ['parentbased_always_off', [false, false], true, false],
    ['parentbased_traceidratio', [true, false], true, false],
  ];
  for (const [sampler, root, sampled, unsampled] of rows) {
    it(`${sampler} takes what the specification says`, () => {
      const isSampled = createSampler({ sampler, ratio: 0.5 });
      expect([isSampled(LOW, undefined), isSampled(HIGH, undefined)]).to.deep.equal(root);
      expect([isSampled(HIGH, SAMPLED), isSampled(LOW, UNSAMPLED)]).to.deep.equal([sampled, unsampled]);
    });
  }

  it('takes nothing at ratio 0, everything at 1, and otherwise ids whose lower half is below the share', () => {
    const by = (ratio: number, id: string): boolean => createSampler({ sampler: 'traceidratio', ratio })(id, undefined);
    const quarter = `${'0'.repeat(16)}40${'0'.repeat(14)}`;
    expect([by(0, '0'.repeat(31) + 1), by(1, HIGH)]).to.deep.equal([false, true]);
    expect([by(0.25, quarter), by(0.26, quarter)]).to.deep.equal([false, true]);
  });
});
