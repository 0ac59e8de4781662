import { expect } from 'chai';
import { createWorkQueue, type WorkQueue, type WorkQueueOptions } from '../../../src/workqueue/queue.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const never = new AbortController().signal;

function queueWith(options: Partial<WorkQueueOptions> = {}): { readonly queue: WorkQueue; readonly clock: FakeClock } {
  const clock = createFakeClock();
  const queue = createWorkQueue({ clock, groupOf: (key) => key.split('/')[0] ?? '', ...options });
  return { queue, clock };
}

async function takeAll(queue: WorkQueue): Promise<string[]> {
  const taken: string[] = [];
  while (queue.depth() > 0) {
    const key = await queue.take(never);
    if (key === undefined) break;
    taken.push(key);
    queue.done(key);
  }
  return taken;
}

describe('work queue', () => {
  it('holds a key once when it is added several times', async () => {
    const { queue } = queueWith();
    for (const key of ['a/x', 'a/y', 'a/x', 'a/x']) queue.add(key);

    expect(await takeAll(queue)).to.deep.equal(['a/x', 'a/y']);
  });

  it('lets namespaces take turns', async () => {
    const { queue } = queueWith();
    for (const key of ['a/1', 'a/2', 'a/3', 'b/1', 'c/1', 'b/2']) queue.add(key);

    expect(await takeAll(queue)).to.deep.equal(['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3']);
  });

  it('never hands out a key that is in progress, and hands it out again when it was added meanwhile', async () => {
    const { queue } = queueWith();
    queue.add('a/x');
    await queue.take(never);
    queue.add('a/x');
    expect(queue.depth()).to.equal(0);

    queue.done('a/x');
    expect(await takeAll(queue)).to.deep.equal(['a/x']);
  });

  it('wakes a waiting taker', async () => {
    const { queue } = queueWith();
    const waiting = queue.take(never);
    queue.add('a/x');
    expect(await waiting).to.equal('a/x');
  });

  it('doubles the delay of a key at each failure up to the longest one, and starts again after forget', () => {
    const { queue } = queueWith({ baseDelayMs: 5, maxDelayMs: 60 });
    const delays = Array.from({ length: 6 }, () => queue.retry('a/x'));
    expect(delays).to.deep.equal([5, 10, 20, 40, 60, 60]);
    expect(queue.attempts('a/x')).to.equal(6);

    queue.forget('a/x');
    expect(queue.retry('a/x')).to.equal(5);
  });

  it('waits at least as long as the server asked', () => {
    const { queue } = queueWith();
    expect(queue.retry('a/x', { atLeastMs: 3_000 })).to.equal(3_000);
  });

  it('waits no longer than the caller allows', () => {
    const { queue } = queueWith();
    const delays = Array.from({ length: 4 }, () => queue.retry('a/x', { atMostMs: 12 }));
    expect(delays).to.deep.equal([5, 10, 12, 12]);
  });

  it('limits retries over all keys', () => {
    const { queue } = queueWith({ retryBurst: 2, retriesPerSecond: 10, baseDelayMs: 1 });
    const delays = ['a/1', 'a/2', 'a/3', 'a/4'].map((key) => queue.retry(key));
    expect(delays).to.deep.equal([1, 1, 100, 200]);
  });

  it('adds a delayed key when its delay has passed, at the earliest of several times', async () => {
    const { queue, clock } = queueWith();
    queue.addAfter('a/x', 100);
    queue.addAfter('a/x', 50);
    queue.addAfter('a/x', 200);
    clock.advance(49);
    expect(queue.depth()).to.equal(0);

    clock.advance(1);
    expect(await takeAll(queue)).to.deep.equal(['a/x']);
    clock.advance(500);
    expect(queue.depth()).to.equal(0);
  });

  it('drops the delay of a key that is added without a delay', () => {
    const { queue, clock } = queueWith();
    queue.addAfter('a/x', 100);
    queue.add('a/x');
    expect(clock.pending()).to.deep.equal([]);
  });

  it('hands out nothing after it was closed or the taker was aborted', async () => {
    const { queue } = queueWith();
    const leaving = new AbortController();
    const left = queue.take(leaving.signal);
    leaving.abort();
    expect(await left).to.equal(undefined);

    const closed = queue.take(never);
    queue.close();
    queue.add('a/x');
    expect(await closed).to.equal(undefined);
    expect(await queue.take(never)).to.equal(undefined);
  });

  it('does not lose a key to a taker that was aborted', async () => {
    const { queue } = queueWith();
    const leaving = new AbortController();
    void queue.take(leaving.signal);
    const staying = queue.take(never);
    leaving.abort();
    queue.add('a/x');
    expect(await staying).to.equal('a/x');
  });

  it('reports how long keys waited and were in progress', async () => {
    const reported: string[] = [];
    const { queue, clock } = queueWith({
      observer: {
        onDepth: (depth) => reported.push(`depth ${depth}`),
        onAdd: () => reported.push('add'),
        onTake: (ms) => reported.push(`queued ${ms}`),
        onDone: (ms) => reported.push(`worked ${ms}`),
        onRetry: () => reported.push('retry'),
      },
    });
    queue.add('a/x');
    clock.advance(30);
    await queue.take(never);
    clock.advance(20);
    expect(queue.running()).to.deep.equal([20]);
    queue.done('a/x');

    expect(reported).to.deep.equal(['add', 'depth 1', 'depth 0', 'queued 30', 'worked 20']);
  });
});

describe('work queue: low priority', () => {
  it('hands out keys of low priority when no other key waits, namespaces in turn', async () => {
    const { queue } = queueWith();
    for (const key of ['a/1', 'a/2', 'b/1']) queue.add(key, 'low');
    for (const key of ['c/1', 'c/2']) queue.add(key);

    expect(queue.depth()).to.equal(5);
    expect(await takeAll(queue)).to.deep.equal(['c/1', 'c/2', 'a/1', 'b/1', 'a/2']);
  });

  it('hands out one key of low priority after four others, however many wait', async () => {
    const { queue } = queueWith();
    for (const key of ['a/1', 'a/2']) queue.add(key, 'low');
    for (let at = 1; at <= 10; at += 1) queue.add(`b/${at}`);

    const taken = await takeAll(queue);
    expect([taken.indexOf('a/1'), taken.indexOf('a/2')]).to.deep.equal([4, 9]);
  });

  it('keeps the priority of a key that fails or is delayed', async () => {
    const { queue, clock } = queueWith();
    for (const key of ['a/1', 'a/2']) queue.add(key, 'low');
    for (let at = 0; at < 2; at += 1) {
      const key = (await queue.take(never)) ?? '';
      expect(queue.priorityOf(key)).to.equal('low');
      if (at === 0) queue.retry(key);
      else queue.addAfter(key, 5, queue.priorityOf(key));
      queue.done(key);
      expect(queue.priorityOf(key)).to.equal('normal');
    }
    clock.advance(5);
    queue.add('b/1');

    expect(await takeAll(queue)).to.deep.equal(['b/1', 'a/1', 'a/2']);
  });

  it('promotes a waiting key that is added again at normal priority, and never demotes one', async () => {
    const { queue } = queueWith();
    queue.add('a/1', 'low');
    queue.add('a/2', 'low');
    queue.add('b/1');
    queue.add('b/1', 'low');
    queue.add('a/2');

    expect(queue.depth()).to.equal(3);
    expect(await takeAll(queue)).to.deep.equal(['b/1', 'a/2', 'a/1']);
  });

  it('keeps the priority of a key that was added while in progress', async () => {
    const { queue } = queueWith();
    queue.add('a/1');
    await queue.take(never);
    queue.add('a/1', 'low');
    queue.add('a/2');
    queue.done('a/1');

    expect(await takeAll(queue)).to.deep.equal(['a/2', 'a/1']);
  });

  it('reports keys that wait, are delayed or are in progress', async () => {
    const { queue, clock } = queueWith();
    queue.add('a/waiting', 'low');
    queue.addAfter('a/delayed', 10);
    expect(['a/waiting', 'a/delayed', 'a/other'].map((key) => queue.holds(key))).to.deep.equal([true, true, false]);

    await queue.take(never);
    expect(queue.holds('a/waiting')).to.equal(true);
    queue.done('a/waiting');
    expect(queue.holds('a/waiting')).to.equal(false);
    clock.advance(10);
    expect(await takeAll(queue)).to.deep.equal(['a/delayed']);
  });
});

describe('work queue: outages', () => {
  const keys = Array.from({ length: 1_000 }, (_, at) => `a/${at}`);

  /** Fails every key once, as while a server is down. */
  function failAll(queue: WorkQueue, atLeastMs = 0): void {
    for (const key of keys) queue.retry(key, { isOutage: true, atLeastMs, atMostMs: 4_000 });
  }

  /** Handles keys until none waits. @returns how many */
  async function handleAll(queue: WorkQueue): Promise<number> {
    let handled = 0;
    while (queue.depth() > 0) {
      const key = (await queue.take(never)) ?? '';
      queue.forget(key);
      queue.done(key);
      handled += 1;
    }
    return handled;
  }

  it('hands out all failed keys once one of them succeeds', async () => {
    const { queue, clock } = queueWith();
    failAll(queue);
    clock.advance(5);
    expect(queue.depth()).to.be.within(1, 101);

    // The last few wait for their own delays.
    expect(await handleAll(queue)).to.be.at.least(keys.length - 8);
  });

  it('does not hand them out before the time that the server asked for', async () => {
    const { queue, clock } = queueWith();
    failAll(queue, 3_000);
    queue.add('b/1');
    expect(await handleAll(queue)).to.equal(1);

    clock.advance(3_000);
    expect(await handleAll(queue)).to.be.at.least(keys.length - 8);
  });

  it('leaves a few failed keys to their own delays', async () => {
    const { queue, clock } = queueWith({ baseDelayMs: 1_000 });
    for (let at = 0; at < 7; at += 1) queue.retry(`a/${at}`, { isOutage: true });
    queue.add('b/1');
    expect(await handleAll(queue)).to.equal(1);

    clock.advance(1_000);
    expect(await handleAll(queue)).to.equal(7);
  });

  it('leaves keys alone that failed for separate reasons', async () => {
    const { queue } = queueWith({ baseDelayMs: 1_000 });
    for (const key of keys) queue.retry(key);
    queue.add('b/1');

    expect(await handleAll(queue)).to.equal(1);
  });
});
