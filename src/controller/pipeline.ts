/*
 * The way from the world to the sink. In: a world that sources keep up to date, a key keeper, a sink. Out: every workload's
 * bundle published soon after anything that concerns it changed. The leader runs one per term, `sallyport run` one for good;
 * nothing here knows of a cluster.
 */

import type { Policy } from '../api/istio/resources.ts';
import { parseWorkloadKey, policyKeyOf, workloadKey } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { Affected, Change } from '../resolve/selection.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import { createPublications, type Publications } from '../status/publications.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import { createReconcile, type ReconcileOptions } from './reconcile.ts';

export interface PipelineOptions extends Omit<ReconcileOptions, 'publications'> {
  /** Workers; default 4. */
  readonly concurrency?: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Time between two looks at everything, in milliseconds, lengthened by up to a tenth; default 10 hours. */
  readonly resyncMs?: number;
  /** How many workloads such a look found out of date. */
  readonly onResync?: (changes: number) => void;
  /** Does `afterApply` have to run for this pod although its bundle is published? Absent: never. */
  readonly needsAfterApply?: (pod: SlimPod, digest: string) => boolean;
  /** Ends what is under work, some time after the pipeline was told to stop; absent: at once. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

export interface Pipeline {
  readonly publications: Publications;
  readonly queue: WorkQueue;
  /** Tells of a change that the world does not see, such as new mesh settings. */
  readonly notify: (change: Change) => void;
  /** Publishes until `signal` aborts; ends when the workers have finished. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A pipeline; nothing is published before {@link Pipeline.run}. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { clusterState, jwksCache, sink } = options;
  const publications = createPublications();
  const queue = createWorkQueue({
    clock: options.clock,
    groupOf: (key) => parseWorkloadKey(key).namespace,
    ...(options.queueObserver === undefined ? {} : { observer: options.queueObserver }),
  });
  const resync = createResync(options, queue);
  const reconcile = createReconcile({ ...options, publications, observer: resync.observer });
  const { selection } = clusterState;
  const enqueue = (change: Change, { workloads }: Affected): void => {
    for (const workload of workloads) queue.add(workload);
    if (change.kind === 'pod' && change.after !== undefined) addIfNeeded(options, { queue, publications }, change.after);
  };
  const notify = (change: Change): void => enqueue(change, selection.apply(change));
  const addAll = (): number => {
    const keys = new Set([...selection.workloads(), ...sink.list().map(workloadKey)]);
    for (const key of keys) queue.add(key);
    return keys.size;
  };

  return {
    publications,
    queue,
    notify,
    run: async (signal) => {
      const stops = [
        clusterState.subscribe(enqueue),
        // A failure is word too: bundles that waited for the keys go out without them.
        jwksCache.subscribe(({ owners }) => notify({ kind: 'keys', policies: owners })),
        sink.subscribe?.((workload) => queue.add(workloadKey(workload))) ?? ((): void => undefined),
        resync.start(addAll),
      ];
      addAll();
      await runWorkers(
        {
          queue,
          handle: reconcile,
          logger: options.logger,
          ...(options.workSignal === undefined ? {} : { handleSignal: options.workSignal }),
          ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
          ...(options.workerObserver === undefined ? {} : { observer: options.workerObserver }),
        },
        signal,
      );
      for (const stop of stops) stop();
      queue.close();
    },
  };
}

/** Keeps the keeper informed of the rules in force, whoever leads; returns the way to stop. */
export function wantKeys(clusterState: ClusterState, jwksCache: JwksCache): () => void {
  const rulesOf = (policy: Policy | undefined): Parameters<JwksCache['want']>[1] =>
    policy?.kind === 'RequestAuthentication' ? (policy.spec.jwtRules ?? []) : [];
  for (const entry of clusterState.policies.values()) jwksCache.want(entry.key, rulesOf(entry.inForce));
  return clusterState.subscribe((change) => {
    if (change.kind !== 'policy') return;
    const policy = change.after ?? change.before;
    if (policy?.kind === 'RequestAuthentication') jwksCache.want(policyKeyOf(policy), rulesOf(change.after));
  });
}

function addIfNeeded(
  options: PipelineOptions,
  parts: { readonly queue: WorkQueue; readonly publications: Publications },
  pod: SlimPod,
): void {
  const key = workloadKey(workloadOf(pod));
  const digest = parts.publications.get(key)?.digest;
  if (digest !== undefined && options.needsAfterApply?.(pod, digest) === true) parts.queue.add(key);
}

interface Resync {
  readonly observer: NonNullable<ReconcileOptions['observer']>;
  readonly start: (addAll: () => number) => () => void;
}

/** A net under the events: what it catches is counted, because it should be nothing. */
function createResync(options: PipelineOptions, queue: WorkQueue): Resync {
  let cancel = (): void => undefined;
  let left = 0;
  const start = (addAll: () => number): (() => void) => {
    const delayMs = (options.resyncMs ?? 36_000_000) * (1 + options.random() / 10);
    cancel = options.clock.after(delayMs, () => {
      // Only a quiet pipeline can tell a missed event from one that is on its way.
      left = queue.depth() === 0 && queue.running().length === 0 ? addAll() : 0;
      start(addAll);
    });
    return () => cancel();
  };
  return {
    start,
    observer: {
      onCompile: (durationMs, bytes) => options.observer?.onCompile(durationMs, bytes),
      onPublish: (result) => {
        options.observer?.onPublish(result);
        if (left === 0) return;
        left -= 1;
        if (result === 'created' || result === 'updated' || result === 'removed') options.onResync?.(1);
      },
    },
  };
}
