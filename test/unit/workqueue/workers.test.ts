import { expect } from 'chai';
import { InvariantError, RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createWorkQueue, type WorkQueue } from '../../../src/workqueue/queue.ts';
import { type HandleResult, MAX_RETRY_DELAY_MS, runWorkers } from '../../../src/workqueue/workers.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

interface Bench {
  readonly queue: WorkQueue;
  readonly clock: FakeClock;
  readonly results: string[];
  readonly stop: () => Promise<void>;
}

function work(handle: (key: string) => Promise<HandleResult | undefined>, concurrency = 1, maxDelayMs = 1_000_000): Bench {
  const clock = createFakeClock();
  const queue = createWorkQueue({ clock, groupOf: () => '', maxDelayMs });
  const results: string[] = [];
  const stopping = new AbortController();
  const observer = { onActive: () => undefined, onResult: (result: string) => results.push(result) };
  const running = runWorkers({ queue, handle, concurrency, logger, observer, bugRetries: 2 }, stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
  };
  return { queue, clock, results, stop };
}

describe('workers', () => {
  const cases: readonly {
    readonly name: string;
    readonly error: Error;
    readonly results: readonly string[];
    readonly delays: readonly number[];
  }[] = [
    { name: 'retry after a transient error', error: new TransientError('SP_KUBE_API', 'down'), results: ['error'], delays: [5] },
    {
      name: 'wait as long as the server asked',
      error: new TransientError('SP_KUBE_API', 'busy', { retryAfterMs: 700 }),
      results: ['error'],
      delays: [700],
    },
    { name: 'do not retry after a refusal', error: new RefusedError('SP_TOO_LARGE', 'no'), results: ['terminal_error'], delays: [] },
    {
      name: 'do not retry without a namespace',
      error: new RefusedError('SP_KUBE_NOT_FOUND', 'no'),
      results: ['terminal_error'],
      delays: [],
    },
    { name: 'retry when a quota forbids it', error: new RefusedError('SP_KUBE_FORBIDDEN', 'no'), results: ['error'], delays: [2_000] },
    {
      name: 'retry when an admission policy refuses it',
      error: new RefusedError('SP_KUBE_INVALID', 'no'),
      results: ['error'],
      delays: [2_000],
    },
    { name: 'retry after a bug', error: new InvariantError('cannot be'), results: ['bug'], delays: [5] },
    { name: 'treat an unknown error as a bug', error: new TypeError('x is undefined'), results: ['bug'], delays: [5] },
  ];
  for (const { name, error, results, delays } of cases) {
    it(name, async () => {
      const bench = work(() => Promise.reject(error));
      bench.queue.add('a/x');
      await until(() => bench.results.length > 0, 'a result');

      expect(bench.results).to.deep.equal(results);
      expect(bench.clock.pending()).to.deep.equal(delays);
      await bench.stop();
    });
  }

  it('retry a refusal ever more slowly, but within minutes', async () => {
    const delays: number[] = [];
    const bench = work(() => Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota')), 1, MAX_RETRY_DELAY_MS);
    bench.queue.add('a/x');
    for (let tries = 1; tries <= 18; tries += 1) {
      await until(() => bench.results.length === tries, `try ${tries}`);
      const [delay = 0] = bench.clock.pending();
      delays.push(delay);
      bench.clock.advance(delay);
    }
    expect(delays).to.deep.equal([...delays].sort((one, other) => one - other));
    expect(delays.at(0)).to.equal(2_000);
    expect(delays.at(-1)).to.equal(180_000);
    await bench.stop();
  });

  it('park a key after several bugs until it is added again', async () => {
    const bench = work(() => Promise.reject(new InvariantError('cannot be')));
    bench.queue.add('a/x');
    for (let tries = 1; tries <= 3; tries += 1) {
      await until(() => bench.results.length === tries, `try ${tries}`);
      bench.clock.advance(1_000);
    }
    expect(bench.clock.pending()).to.deep.equal([]);
    expect(bench.queue.attempts('a/x')).to.equal(0);
    await bench.stop();
  });

  it('handle a key again after the delay that its handler returned', async () => {
    const bench = work(() => Promise.resolve({ requeueAfterMs: 40 }));
    bench.queue.add('a/x');
    await until(() => bench.results.length === 1, 'the first result');
    bench.clock.advance(40);
    await until(() => bench.results.length === 2, 'the second result');

    expect(bench.results).to.deep.equal(['requeue_after', 'requeue_after']);
    await bench.stop();
  });

  it('handle as many keys in parallel as there are workers', async () => {
    let active = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const bench = work(async () => {
      active += 1;
      most = Math.max(most, active);
      await gate.promise;
      active -= 1;
      return undefined;
    }, 3);
    for (const key of ['1', '2', '3', '4', '5']) bench.queue.add(key);
    await until(() => active === 3, 'three in progress');
    gate.resolve();
    await until(() => bench.results.length === 5, 'all done');

    expect(most).to.equal(3);
    await bench.stop();
  });

  it('finish the key in progress when they are stopped, and take no other', async () => {
    const gate = Promise.withResolvers<void>();
    const bench = work(async () => {
      await gate.promise;
      return undefined;
    });
    bench.queue.add('a/x');
    await until(() => bench.queue.running().length === 1, 'work');
    bench.queue.add('a/y');
    const stopped = bench.stop();
    gate.resolve();
    await stopped;

    expect(bench.results).to.deep.equal(['success']);
    expect(bench.queue.depth()).to.equal(1);
  });

  it('report how many keys are in progress and how long each took', async () => {
    const queue = createWorkQueue({ clock: createFakeClock(), groupOf: () => '' });
    const stopping = new AbortController();
    const active: number[] = [];
    const durations: number[] = [];
    const observer = {
      onActive: (change: 1 | -1) => active.push(change),
      onResult: (_result: string, durationMs: number) => durations.push(durationMs),
    };
    const beganMs = performance.now();
    const running = runWorkers({ queue, handle: () => Promise.resolve(undefined), concurrency: 1, logger, observer }, stopping.signal);
    queue.add('a/x');
    queue.add('a/y');
    await until(() => durations.length === 2, 'both results');
    const elapsedMs = performance.now() - beganMs;
    stopping.abort();
    await running;

    expect(active).to.deep.equal([1, -1, 1, -1]);
    for (const durationMs of durations) expect(durationMs).to.be.within(0, elapsedMs);
  });

  it('pass a separate signal to the handler of the key in progress', async () => {
    const queue = createWorkQueue({ clock: createFakeClock(), groupOf: () => '' });
    const [stopping, finishing] = [new AbortController(), new AbortController()];
    const begun = Promise.withResolvers<AbortSignal>();
    const gate = Promise.withResolvers<void>();
    const handle = async (_key: string, signal: AbortSignal): Promise<undefined> => {
      begun.resolve(signal);
      await gate.promise;
    };
    const running = runWorkers({ queue, handle, logger, handleSignal: finishing.signal }, stopping.signal);
    queue.add('a/x');
    const signal = await begun.promise;
    stopping.abort();
    expect(signal.aborted).to.equal(false);
    finishing.abort();
    expect(signal.aborted).to.equal(true);
    gate.resolve();
    await running;
  });
});
