/*
 * Periodic resync: reconciles every workload although no event asks for it. A workload that turns out to be out of date is
 * reported as a missed change; expected never to happen.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { WorkQueue } from '../workqueue/queue.ts';
import type { PublishOutcome } from './reconcile.ts';

/** Parts and settings of a periodic resync. */
export interface ResyncOptions {
  readonly clock: Clock;
  readonly queue: Pick<WorkQueue, 'add' | 'holds'>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Time between two resyncs in milliseconds, lengthened by up to a tenth; default 10 hours. */
  readonly resyncMs?: number;
  /** Called for each workload that was out of date although no event had queued it. */
  readonly onMissedChange?: (workload: WorkloadKey) => void;
}

/** A periodic resync that counts missed changes. */
export interface Resync {
  /** Queues all `workloads()` again and again. @returns a function that stops it */
  readonly start: (workloads: () => Iterable<WorkloadKey>) => () => void;
  /** To be called when an event queues a workload: whatever changes then is not a missed change. */
  readonly onEvent: (workload: WorkloadKey) => void;
  /** To be called with the outcome of each reconciliation. */
  readonly onPublish: (outcome: PublishOutcome, workload: WorkloadKey) => void;
}

const DEFAULT_INTERVAL_MS = 36_000_000;

/** A resync; it queues nothing before {@link Resync.start}. */
export function createResync(options: ResyncOptions): Resync {
  const { clock, queue, random, resyncMs = DEFAULT_INTERVAL_MS } = options;
  /** Workloads that nothing but the resync queued. */
  const withoutEvent = new Set<WorkloadKey>();
  let cancel = (): void => undefined;

  const start = (workloads: () => Iterable<WorkloadKey>): (() => void) => {
    cancel = clock.after(resyncMs * (1 + random() / 10), () => {
      withoutEvent.clear();
      for (const workload of workloads()) {
        // One that is queued already is reconciled anyway; to add it would only shorten a delay.
        if (queue.holds(workload)) continue;
        withoutEvent.add(workload);
        queue.add(workload, 'low');
      }
      start(workloads);
    });
    return () => cancel();
  };

  return {
    start,
    onEvent: (workload) => void withoutEvent.delete(workload),
    onPublish: (outcome, workload) => {
      if (withoutEvent.delete(workload) && outcome !== 'unchanged' && outcome !== 'refused') options.onMissedChange?.(workload);
    },
  };
}
