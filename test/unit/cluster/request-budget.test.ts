/* The limit on requests that several lanes share, on a fake clock. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { createRequestBudget, type Lane, type RequestBudget } from '../../../src/cluster/request-budget.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let granted: string[];

const never = new AbortController().signal;

/** Asks for permits and records in which order they are granted. */
function ask(budget: RequestBudget, lane: Lane, count: number): void {
  for (let at = 0; at < count; at += 1) void budget.take(lane, never).then(() => granted.push(`${lane} ${at}`));
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await turn();
}

function count(lane: Lane): number {
  return granted.filter((name) => name.startsWith(lane)).length;
}

describe('createRequestBudget', () => {
  beforeEach(() => {
    clock = createFakeClock();
    granted = [];
  });

  it('grants the burst immediately, then the rate, first come, first served within a lane', async () => {
    const budget = createRequestBudget({ perSecond: 10, burst: 2, clock });
    ask(budget, 'touch', 4);
    await turn();
    expect(granted).to.deep.equal(['touch 0', 'touch 1']);
    expect(clock.pending()).to.deep.equal([100]);

    await pass(100);
    expect(granted.at(-1)).to.equal('touch 2');
    await pass(100);
    expect(granted.at(-1)).to.equal('touch 3');
    expect(clock.pending()).to.deep.equal([]);
  });

  it('grants the next permit to a bundle, however many annotations wait', async () => {
    const budget = createRequestBudget({ perSecond: 100, burst: 1, clock });
    ask(budget, 'touch', 1_000);
    await pass(500);
    ask(budget, 'publish', 1);
    await pass(10);

    expect(granted.at(-1)).to.equal('publish 0');
  });

  it('grants permits in groups to a lane that waits alone, at the same rate', async () => {
    const budget = createRequestBudget({ perSecond: 200, burst: 400, clock });
    ask(budget, 'publish', 1_000);
    await pass(95);
    expect(count('publish')).to.equal(400);
    await pass(5);
    expect(count('publish')).to.equal(420);
    await pass(100);
    expect(count('publish')).to.equal(440);
  });

  it('lets another lane not wait for the group of the first', async () => {
    const budget = createRequestBudget({ perSecond: 200, burst: 400, clock });
    ask(budget, 'touch', 1_000);
    await pass(50);
    ask(budget, 'publish', 1);
    await pass(0);

    expect(granted.indexOf('publish 0')).to.equal(400);
  });

  it('divides permits by weight while all lanes wait, so that none starves', async () => {
    const budget = createRequestBudget({ perSecond: 1_000, burst: 1, clock });
    for (const lane of ['touch', 'status', 'default', 'publish'] as const) ask(budget, lane, 1_000);
    for (let step = 0; step < 280; step += 1) await pass(1);

    expect(count('publish')).to.be.within(155, 165);
    expect(count('default')).to.be.within(77, 83);
    expect(count('touch')).to.be.within(28, 32);
    expect(count('status')).to.be.within(9, 11);
  });

  it('does not let a lane catch up on what it did not ask for', async () => {
    const budget = createRequestBudget({ perSecond: 1_000, burst: 1, clock });
    ask(budget, 'touch', 1_000);
    for (let step = 0; step < 300; step += 1) await pass(1);
    ask(budget, 'status', 100);
    granted = [];
    for (let step = 0; step < 40; step += 1) await pass(1);

    expect(count('touch')).to.be.within(29, 31);
  });

  it('refills up to the burst', async () => {
    const budget = createRequestBudget({ perSecond: 10, burst: 3, clock });
    await pass(60_000);
    ask(budget, 'default', 4);
    await turn();

    expect(granted).to.have.length(3);
  });

  it('gives the permit of an aborted waiter to the next one', async () => {
    const budget = createRequestBudget({ perSecond: 10, burst: 1, clock });
    const stop = new AbortController();
    await budget.take('default', never);
    const reason = new Error('stopping');
    const waiting = budget.take('default', stop.signal).catch((thrown: unknown) => thrown);
    ask(budget, 'status', 1);
    stop.abort(reason);
    expect(await waiting).to.equal(reason);
    expect(await budget.take('default', stop.signal).catch((thrown: unknown) => thrown)).to.equal(reason);

    await pass(100);
    expect(granted).to.deep.equal(['status 0']);
  });

  it('leaves no timer behind when no request waits any more', async () => {
    const budget = createRequestBudget({ perSecond: 10, burst: 1, clock });
    const stop = new AbortController();
    await budget.take('default', never);
    const waiting = budget.take('touch', stop.signal).catch(() => undefined);
    expect(clock.pending()).to.have.length(1);
    stop.abort();
    await waiting;

    expect(clock.pending()).to.deep.equal([]);
  });
});
