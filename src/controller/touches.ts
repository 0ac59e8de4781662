/*
 * Annotates the pods whose bundle is published, so that their kubelets refresh the volume. In a separate queue: ten thousand pods must not
 * delay a bundle.
 */
import { objectKey, parseObjectKey, workloadKey } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { Clock } from '../clock.ts';
import type { KubeletResync } from '../delivery/kubelet-resync.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { AgentReportsView } from '../status/agent-reports.ts';
import type { LedgerView, Revision } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Priority } from '../workqueue/fair-keys.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import { giveWay } from './give-way.ts';

/** Parts and settings of the annotation of pods. */
export interface TouchesOptions {
  readonly clusterState: Pick<ClusterState, 'pods'>;
  readonly ledger: LedgerView;
  readonly kubeletResync: KubeletResync;
  /** Pods whose agents hold a stream of the feed need no annotation; absent: there is no feed. */
  readonly agents?: AgentReportsView;
  /** Number of bundles that wait to be published, which go first; absent: 0. */
  readonly waitingBundles?: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pods patched at the same time; default 8. */
  readonly concurrency?: number;
  /** Aborts the patches in progress, some time after no new ones are started; absent: immediately. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

/** The annotation of pods. */
export interface Touches {
  /** Pods, by `namespace/name`. */
  readonly queue: WorkQueue;
  /** Queues those of `pods` whose volume may be older than what is published for their workload. */
  readonly add: (pods: Iterable<SlimPod>, priority: Priority) => void;
  /** Patches until `signal` aborts; resolves when the patches in progress have ended. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Longest wait of a patch for bundles, in milliseconds. An API server that patches pods as fast as it can is slow for bundles. */
const HOLD_MS = 2_000;

/** Touches; nothing is patched before {@link Touches.run}. */
export function createTouches(options: TouchesOptions): Touches {
  const {
    clusterState,
    kubeletResync,
    ledger,
    agents,
    waitingBundles = () => 0,
    clock,
    logger,
    queueObserver,
    workerObserver,
    workSignal,
    concurrency = 8,
  } = options;
  const queue = createWorkQueue({
    clock,
    groupOf: (pod) => parseObjectKey(pod).namespace,
    maxDelayMs: MAX_RETRY_DELAY_MS,
    ...(queueObserver === undefined ? {} : { observer: queueObserver }),
  });
  /** What the pod is to be annotated with; undefined: nothing. */
  const missing = (pod: SlimPod): Revision | undefined => {
    if (pod.agent?.hasFeed === true && agents?.isConnected(objectKey(pod.namespace, pod.name)) === true) return undefined;
    const published = ledger.get(workloadKey(workloadOf(pod)))?.published;
    const revision = published?.resync ?? published?.revision;
    return revision !== undefined && kubeletResync.isNeeded(pod, revision) ? revision : undefined;
  };
  const graceOf = (pod: SlimPod): number => (pod.agent?.hasFeed === true ? (agents?.graceMs(objectKey(pod.namespace, pod.name)) ?? 0) : 0);
  const handle = async (key: string, signal: AbortSignal): Promise<undefined> => {
    await giveWay({ ahead: waitingBundles, clock, atMostMs: HOLD_MS }, signal);
    const pod = clusterState.pods.get(key);
    const revision = pod === undefined ? undefined : missing(pod);
    if (pod === undefined || revision === undefined) return;
    // Meanwhile many others may have lost their streams, too.
    const graceMs = graceOf(pod);
    if (graceMs > 0) queue.addAfter(key, graceMs, 'low');
    else await kubeletResync.patch(pod, revision, signal);
  };
  return {
    queue,
    add: (pods, priority) => {
      for (const pod of pods) {
        if (missing(pod) === undefined) continue;
        const key = objectKey(pod.namespace, pod.name);
        // An agent that is about to reconnect needs no annotation either.
        const graceMs = graceOf(pod);
        if (graceMs === 0) queue.add(key, priority);
        else queue.addAfter(key, graceMs, priority);
      }
    },
    run: async (signal) => {
      const observer = workerObserver === undefined ? {} : { observer: workerObserver };
      await runWorkers(
        { queue, handle, logger, concurrency, ...observer, ...(workSignal === undefined ? {} : { handleSignal: workSignal }) },
        signal,
      );
      queue.close();
    },
  };
}
