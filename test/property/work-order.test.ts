/*
 * The queue and its workers in any order of edits and of the steps of handling: the state that was handled last is the newest one,
 * and no key is handled twice at the same time.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { systemClock } from '../../src/clock.ts';
import { TransientError } from '../../src/errors.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createWorkQueue } from '../../src/workqueue/queue.ts';
import { runWorkers } from '../../src/workqueue/workers.ts';
import { untilIdle } from '../support/idle-scheduler.ts';

const KEYS = ['a/x', 'a/y', 'b/z'] as const;
const logger = createLogger({ level: 'silent', component: 'test' });

interface Edit {
  readonly key: (typeof KEYS)[number];
  /** Handling this version fails once. */
  readonly fails: boolean;
}

const edits = fc.array(fc.record({ key: fc.constantFrom(...KEYS), fails: fc.boolean() }), { minLength: 1, maxLength: 12 });

describe('work in any order', () => {
  it('ends with the newest state of every key, each handled once at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), edits, fc.integer({ min: 1, max: 4 }), async (scheduler, changes, concurrency) => {
        const { latest, handled, overlaps } = await runAll(scheduler, changes, concurrency);

        expect(handled).to.deep.equal(latest);
        expect(overlaps).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });
});

interface Outcome {
  /** Number of the last edit of each key. */
  readonly latest: ReadonlyMap<string, number>;
  /** Number of the edit that was handled last. */
  readonly handled: ReadonlyMap<string, number>;
  readonly overlaps: number;
}

async function runAll(scheduler: fc.Scheduler, changes: readonly Edit[], concurrency: number): Promise<Outcome> {
  const latest = new Map<string, number>();
  const handled = new Map<string, number>();
  const active = new Set<string>();
  const failing = new Set(changes.flatMap(({ fails }, at) => (fails ? [at] : [])));
  let overlaps = 0;
  const queue = createWorkQueue({ clock: systemClock, groupOf: (key) => key.slice(0, 1), baseDelayMs: 0, retryBurst: 1000 });
  const handle = async (key: string): Promise<undefined> => {
    if (active.has(key)) overlaps += 1;
    active.add(key);
    try {
      const version = latest.get(key) ?? -1;
      await scheduler.schedule(Promise.resolve(), `compile ${key} ${version}`);
      if (failing.delete(version)) throw new TransientError('SP_KUBE_API', 'fails once');
      await scheduler.schedule(Promise.resolve(), `write ${key} ${version}`);
      handled.set(key, version);
      return undefined;
    } finally {
      active.delete(key);
    }
  };
  const stop = new AbortController();
  const workers = runWorkers({ queue, handle, concurrency, logger }, stop.signal);
  scheduler.scheduleSequence(
    changes.map(({ key }, at) => ({
      label: `edit ${key} ${at}`,
      builder: () => {
        latest.set(key, at);
        queue.add(key);
        return Promise.resolve();
      },
    })),
  );
  // Keys that wait for a retry, which a timer ends.
  await untilIdle(scheduler, () => KEYS.some((key) => queue.holds(key)));
  stop.abort();
  await workers;
  return { latest, handled, overlaps };
}
