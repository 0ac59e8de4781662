/*
 * Keeps every policy's status true. In: changes of policies, pods, publications and keys. Out: one look per policy some
 * moments later, however many changes there were, through the status writer. Runs while this replica leads.
 */
import { type PolicyKey, parsePolicyKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import { type FactSources, policyFacts } from './policy-facts.ts';
import type { Publication } from './publications.ts';
import type { StatusWriter } from './status-writer.ts';

export interface StatusLoopOptions extends FactSources {
  readonly write: StatusWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onWrite?: (result: 'updated' | 'unchanged' | 'gone') => void;
  /** How long changes are gathered before a status is looked at, in milliseconds; default 200. */
  readonly settleMs?: number;
  /** Ends what is under work, some time after the loop was told to stop; absent: at once. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

export interface StatusLoop {
  readonly queue: WorkQueue;
  /** Looks at every policy soon; for changes that the world does not see. */
  readonly notifyAll: () => void;
  /** Writes statuses until `signal` aborts; ends when the workers have finished. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A loop that looks at nothing before {@link StatusLoop.run}. */
export function createStatusLoop(options: StatusLoopOptions): StatusLoop {
  const { clusterState, publications, jwksCache } = options;
  const queue = createWorkQueue({
    clock: options.clock,
    groupOf: (key) => parsePolicyKey(key).namespace,
    ...(options.queueObserver === undefined ? {} : { observer: options.queueObserver }),
  });
  const look = (key: string): void => queue.addAfter(key, options.settleMs ?? 200);
  const notifyAll = (): void => {
    for (const entry of clusterState.policies.values()) look(entry.key);
  };
  const handle = async (key: string, signal: AbortSignal): Promise<undefined> => {
    const entry = clusterState.policies.get(key);
    // Only objects of a cluster have a status.
    if (entry?.uid === undefined) return;
    const result = await options.write(entry, policyFacts(entry, options), signal);
    options.onWrite?.(result);
  };

  return {
    queue,
    notifyAll,
    run: async (signal) => {
      const stops = [
        clusterState.policies.subscribe(({ key }) => look(key)),
        clusterState.subscribe((_change, { policies }) => {
          for (const key of policies) look(key);
        }),
        publications.subscribe(({ before, after }) => {
          for (const key of policiesOf(options, [before, after])) look(key);
        }),
        jwksCache.subscribe(({ owners }) => {
          for (const key of owners) look(key);
        }),
      ];
      notifyAll();
      const { logger, workerObserver, workSignal } = options;
      await runWorkers(
        {
          queue,
          handle,
          logger,
          concurrency: 2,
          ...(workSignal === undefined ? {} : { handleSignal: workSignal }),
          ...(workerObserver === undefined ? {} : { observer: workerObserver }),
        },
        signal,
      );
      for (const stop of stops) stop();
      queue.close();
    },
  };
}

/** Policies that a changed publication is news for: those it holds and held, and those that wait for it. */
function policiesOf(sources: FactSources, publications: readonly (Publication | undefined)[]): ReadonlySet<PolicyKey> {
  const workload = publications.find((publication) => publication !== undefined)?.workload;
  const held = publications.flatMap((publication) => [...(publication?.generations.keys() ?? [])]);
  return new Set([...held, ...(workload === undefined ? [] : sources.clusterState.selection.policiesOf(workload).keys())]);
}
