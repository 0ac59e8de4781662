/* Waiting on a clock that the test controls. */
import { expect } from 'chai';
import { sleep, systemClock } from '../../src/clock.ts';
import { createFakeClock } from '../support/fake-clock.ts';

describe('sleep', () => {
  it('resolves after the delay or when the signal aborts, and leaves no timer', async () => {
    const clock = createFakeClock();
    const stop = new AbortController();
    const slept = sleep(clock, 1_000, stop.signal);
    clock.advance(1_000);
    await slept;
    const cut = sleep(clock, 1_000, stop.signal);
    stop.abort();
    await cut;
    await sleep(clock, 1_000, stop.signal);

    expect(clock.pending()).to.deep.equal([]);
  });
});

describe('systemClock', () => {
  it('does not run a cancelled callback', async () => {
    const runs: string[] = [];
    const cancel = systemClock.after(1, () => runs.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      systemClock.after(5, resolve);
    });
    cancel();

    expect(runs).to.deep.equal([]);
  });

  it('measures durations and dates in milliseconds', () => {
    const startMs = systemClock.nowMs();

    expect(systemClock.nowMs()).to.be.at.least(startMs);
    expect(Math.abs(systemClock.wallMs() - Date.now())).to.be.below(1_000);
  });
});
