/* The token bucket that limits requests and events, on a fake clock. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { createRateLimiter } from '../../../src/cluster/rate-limiter.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

describe('createRateLimiter', () => {
  it('grants the burst immediately, then the rate, first come, first served', async () => {
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

  it('refills up to the burst', async () => {
    const clock = createFakeClock();
    const limiter = createRateLimiter({ perSecond: 10, burst: 2, clock });
    const { signal } = new AbortController();
    clock.advance(60_000);
    await limiter.take(signal);
    await limiter.take(signal);
    void limiter.take(signal);
    expect(clock.pending()).to.deep.equal([100]);
  });

  it('returns the permit of an aborted waiter', async () => {
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
