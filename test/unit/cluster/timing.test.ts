/* Waiting: sleep, backoff and the token bucket, on the test's own time. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { sleep } from '../../../src/clock.ts';
import { createBackoff } from '../../../src/cluster/backoff.ts';
import { kubeTime, microTime } from '../../../src/cluster/kube-time.ts';
import { createRateLimiter } from '../../../src/cluster/rate-limiter.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

describe('clock', () => {
  it('writes dates as Kubernetes does', () => {
    const atMs = Date.UTC(2026, 10, 23, 21, 33, 0, 120);
    expect(microTime(atMs)).to.equal('2026-11-23T21:33:00.120000Z');
    expect(kubeTime(atMs)).to.equal('2026-11-23T21:33:00Z');
  });

  it('sleeps until the time is over or the signal aborts, and leaves no timer', async () => {
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

describe('backoff', () => {
  it('doubles its ceiling up to the cap, and starts over after a reset', () => {
    const backoff = createBackoff({ baseMs: 200, capMs: 30_000, random: () => 1 });
    const ceilings = Array.from({ length: 10 }, () => backoff.next());
    expect(ceilings).to.deep.equal([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    expect(backoff.failures()).to.equal(10);
    backoff.reset();
    expect(backoff.next()).to.equal(200);
  });

  it('is uniform below its ceiling, and never shorter than asked', () => {
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0 }).next()).to.equal(0);
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0.25 }).next()).to.equal(50);
    expect(createBackoff({ baseMs: 200, capMs: 30_000, random: () => 0.25 }).next(7_000)).to.equal(7_000);
  });
});

describe('rate limiter', () => {
  it('gives the burst at once, then the rate, in the order of asking', async () => {
    const clock = createFakeClock();
    const limiter = createRateLimiter({ perSecond: 10, burst: 2, clock });
    const order: number[] = [];
    const all = [0, 1, 2, 3].map((index) => limiter.take(new AbortController().signal).then(() => order.push(index)));
    await turn();
    expect(order).to.deep.equal([0, 1]);
    expect(clock.pending()).to.deep.equal([100, 200]);
    clock.advance(100);
    await turn();
    expect(order).to.deep.equal([0, 1, 2]);
    clock.advance(100);
    await Promise.all(all);
    expect(order).to.deep.equal([0, 1, 2, 3]);
  });

  it('fills up again, but not beyond the burst', async () => {
    const clock = createFakeClock();
    const limiter = createRateLimiter({ perSecond: 10, burst: 2, clock });
    const { signal } = new AbortController();
    clock.advance(60_000);
    await limiter.take(signal);
    await limiter.take(signal);
    void limiter.take(signal);
    expect(clock.pending()).to.deep.equal([100]);
  });

  it('takes a permission back from a waiter that gave up', async () => {
    const clock = createFakeClock();
    const limiter = createRateLimiter({ perSecond: 10, burst: 1, clock });
    const stop = new AbortController();
    await limiter.take(stop.signal);
    const reason = new Error('stopping');
    let thrown: unknown;
    const waiting = limiter.take(stop.signal).catch((error: unknown) => {
      thrown = error;
    });
    stop.abort(reason);
    await waiting;
    expect(thrown).to.equal(reason);

    void limiter.take(new AbortController().signal);
    expect(clock.pending()).to.deep.equal([100]);
  });
});
