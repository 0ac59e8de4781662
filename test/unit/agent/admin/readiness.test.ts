import { expect } from 'chai';
import { isReadyWithin, readinessWaitMs } from '../../../../src/agent/admin/readiness.ts';
import { ActivePolicyHolder } from '../../../../src/agent/bundles/active-policy.ts';
import type { ActivePolicy } from '../../../../src/agent/context.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';

const POLICY = {} as ActivePolicy;

/** Whether the promise is settled after everything that is ready has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('the time that a readiness probe waits', () => {
  for (const [target, ms] of [
    ['/readyz', 0],
    ['/readyz?wait=4.5', 4500],
    ['/readyz?verbose&wait=0.25', 250],
    ['/readyz?wait=1&x', 1000],
    ['/readyz?wait=999', 10_000],
    ['/readyz?wait=9999', 0],
    ['/readyz?wait=', 0],
    ['/readyz?wait=-1', 0],
    ['/readyz?wait=1e3', 0],
    ['/readyz?await=1', 0],
  ] as const) {
    it(`is ${ms} ms for ${target}`, () => {
      expect(readinessWaitMs(target)).to.equal(ms);
    });
  }
});

describe('isReadyWithin', () => {
  it('does not wait when a policy is active, and without a time to wait', async () => {
    const holder = new ActivePolicyHolder();

    expect(await isReadyWithin(holder, 0, createFakeClock())).to.equal(false);
    holder.set(POLICY);
    expect(await isReadyWithin(holder, 0, createFakeClock())).to.equal(true);
    expect(await isReadyWithin(holder, 5000, createFakeClock())).to.equal(true);
  });

  it('resolves when a policy becomes active', async () => {
    const holder = new ActivePolicyHolder();
    const ready = isReadyWithin(holder, 5000, createFakeClock());

    expect(await isSettled(ready)).to.equal(false);
    holder.set(POLICY);
    expect(await ready).to.equal(true);
  });

  it('resolves after the time without a policy, and does not wait any more', async () => {
    const [holder, clock] = [new ActivePolicyHolder(), createFakeClock()];
    const waiting = Array.from({ length: LIMITS.readinessWaits.value }, () => isReadyWithin(holder, 5000, clock));
    clock.advance(4999);
    expect(await isSettled(Promise.race(waiting))).to.equal(false);
    clock.advance(1);

    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set([false]));
    const again = isReadyWithin(holder, 5000, clock);
    holder.set(POLICY);
    expect(await again).to.equal(true);
  });

  it('waits for the next policy while one is withheld', async () => {
    const holder = new ActivePolicyHolder();
    holder.set(POLICY);
    holder.withhold();
    const ready = isReadyWithin(holder, 5000, createFakeClock());

    expect(await isSettled(ready)).to.equal(false);
    holder.set(POLICY);
    expect(await ready).to.equal(true);
  });

  it('does not wait when too many do', async () => {
    const [holder, clock] = [new ActivePolicyHolder(), createFakeClock()];
    const waiting = Array.from({ length: LIMITS.readinessWaits.value }, () => isReadyWithin(holder, 5000, clock));
    const refused = isReadyWithin(holder, 5000, clock);
    clock.advance(0);

    expect(await refused).to.equal(false);
    holder.set(POLICY);
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set([true]));
  });
});
