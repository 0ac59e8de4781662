/*
 * Writes bundles apart from compiling them: agents that hold a stream have a bundle when it is signed, and the writes take as long as the
 * limit of requests makes them. One write for a workload at a time, always of its newest bundle.
 */
import { parseWorkloadKey, type WorkloadKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import { RefusedError } from '../errors.ts';
import { FairBytes } from '../fair-bytes.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Priority } from '../workqueue/fair-keys.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, mayPass, runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import { giveWay } from './give-way.ts';

/** Parts and settings of the writes. */
export interface BundleWritesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Number of workloads that wait to be compiled, whose agents get their bundles first; absent: 0. */
  readonly waitingWorkloads?: () => number;
  /** Writes at the same time; default 4. */
  readonly concurrency?: number;
  /** Aborts the writes in progress, some time after no new ones are started; absent: immediately. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

/** One write. */
export interface BundleWrite {
  /** Size of what it keeps in memory. */
  readonly bytes: number;
  /** Publishes or withdraws. @param priority absent: it does not come from the queue of writes @throws like a delivery */
  readonly run: (signal: AbortSignal, priority?: Priority) => Promise<void>;
}

/** Writes that wait. */
export interface BundleWrites {
  /** Workloads. */
  readonly queue: WorkQueue;
  /** Queues a write in place of an earlier one of the workload. @returns false: too much waits, and the caller has to write itself */
  readonly take: (key: WorkloadKey, write: BundleWrite, priority: Priority) => boolean;
  /** Writes until `signal` aborts; resolves when the writes in progress have ended. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Longest wait of a write for bundles that agents do not have yet, in milliseconds. */
const HOLD_MS = 1_000;
/** Most bytes of bundles that wait to be written; each namespace gets a share. Those of writes in progress may exceed it. */
export const MAX_WAITING_BYTES: number = 16 * 1024 * 1024;

/** Writes; nothing is written before {@link BundleWrites.run}. */
export function createBundleWrites(options: BundleWritesOptions): BundleWrites {
  const { clock, logger, waitingWorkloads = () => 0, concurrency, workSignal, queueObserver, workerObserver } = options;
  const queue = createWorkQueue({
    clock,
    groupOf: namespaceOf,
    maxDelayMs: MAX_RETRY_DELAY_MS,
    ...(queueObserver === undefined ? {} : { observer: queueObserver }),
  });
  const waiting = new Map<WorkloadKey, BundleWrite>();
  const budget = new FairBytes(MAX_WAITING_BYTES);
  const remove = (key: WorkloadKey): void => {
    budget.release(namespaceOf(key), waiting.get(key)?.bytes ?? 0);
    waiting.delete(key);
  };
  const handle = async (key: WorkloadKey, signal: AbortSignal): Promise<undefined> => {
    await giveWay({ ahead: waitingWorkloads, clock, atMostMs: HOLD_MS }, signal);
    const write = waiting.get(key);
    try {
      await write?.run(signal, queue.priorityOf(key));
    } catch (error) {
      // No retry follows, and the next change brings another write.
      if (error instanceof RefusedError && !mayPass(error) && waiting.get(key) === write) remove(key);
      throw error;
    }
    if (waiting.get(key) === write) remove(key);
  };
  return {
    queue,
    take: (key, write, priority) => {
      remove(key);
      // A write in progress must not be overtaken by the caller's.
      if (!queue.isRunning(key) && !budget.fits(namespaceOf(key), write.bytes)) return false;
      waiting.set(key, write);
      budget.take(namespaceOf(key), write.bytes);
      queue.add(key, priority);
      return true;
    },
    run: async (signal) => {
      await runWorkers(
        {
          queue,
          handle,
          logger,
          ...(concurrency === undefined ? {} : { concurrency }),
          ...(workSignal === undefined ? {} : { handleSignal: workSignal }),
          ...(workerObserver === undefined ? {} : { observer: workerObserver }),
        },
        signal,
      );
      queue.close();
      waiting.clear();
    },
  };
}

function namespaceOf(key: WorkloadKey): string {
  return parseWorkloadKey(key).namespace;
}
