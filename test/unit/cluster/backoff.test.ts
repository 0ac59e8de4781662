/* Delays between retries. */
import { expect } from 'chai';
import { createBackoff } from '../../../src/cluster/backoff.ts';

describe('createBackoff', () => {
  it('doubles its bound up to the cap, and starts again after a reset', () => {
    const backoff = createBackoff({ baseMs: 200, capMs: 30_000, random: () => 1 });
    const ceilings = Array.from({ length: 10 }, () => backoff.next());
    expect(ceilings).to.deep.equal([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    expect(backoff.failures()).to.equal(10);
    backoff.reset();
    expect(backoff.next()).to.equal(200);
  });

  it('is uniform below its bound, and never below the requested minimum', () => {
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0 }).next()).to.equal(0);
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0.25 }).next()).to.equal(50);
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0.25 }).next(7_000)).to.equal(7_000);
  });
});
