/*
 * From the cluster state to the delivery: queues every workload that a change concerns and reconciles it. The leader runs
 * one per term, `sallyport run` one until it ends; nothing here knows of a Kubernetes cluster.
 */
import type { Policy } from '../api/istio/resources.ts';
import { parseWorkloadKey, policyKeyOf, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { REFRESH_KEYS_ANNOTATION } from '../api/kube/names.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { Affected, Change } from '../resolve/selection.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { Priority } from '../workqueue/fair-keys.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, runWorkers, type WorkerObserver, type WorkersOptions } from '../workqueue/workers.ts';
import type { BundleWrites } from './bundle-writes.ts';
import { createReconcile, type ReconcileOptions } from './reconcile.ts';
import { createResync, type Resync } from './resync.ts';
import type { Touches } from './touches.ts';

/** Parts and settings of a pipeline. */
export interface PipelineOptions extends Omit<ReconcileOptions, 'afterPublish' | 'ahead'> {
  /** Agents get bundles before these writes; absent: by writing. */
  readonly ahead?: { readonly announce: NonNullable<ReconcileOptions['ahead']>['announce']; readonly writes: BundleWrites };
  /** Workers; default 4. */
  readonly concurrency?: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Time between two periodic resyncs in milliseconds, lengthened by up to a tenth; default 10 hours. */
  readonly resyncMs?: number;
  /** Called for each workload that a periodic resync found out of date. */
  readonly onMissedChange?: (workload: WorkloadKey) => void;
  /** Absent: agents notice a new bundle without help. */
  readonly touches?: Touches;
  /** Aborts the work in progress, some time after the pipeline stopped taking new keys; absent: immediately. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

/** Publishes the bundles of all workloads. */
export interface Pipeline {
  readonly queue: WorkQueue;
  /** Queues what a change concerns that the cluster state does not report, such as new mesh settings. */
  readonly notify: (change: Change) => void;
  /** Queues every workload at low priority: their bundles are to be signed with other keys. */
  readonly renew: () => void;
  /** Publishes until `signal` aborts; resolves when the workers have finished. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A change of more workloads than this does not delay the changes of others. */
const MANY_WORKLOADS = 32;

/** A pipeline; it publishes nothing before {@link Pipeline.run}. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { clusterState, queueObserver } = options;
  const queue = createWorkQueue({
    clock: options.clock,
    groupOf: (key) => parseWorkloadKey(key).namespace,
    maxDelayMs: MAX_RETRY_DELAY_MS,
    ...(queueObserver === undefined ? {} : { observer: queueObserver }),
  });
  const holds: WorkQueue['holds'] = (key) => queue.holds(key) || options.ahead?.writes.queue.holds(key) === true;
  const resync = createResync({ ...options, queue: { add: queue.add, holds } });
  const enqueue = (workload: WorkloadKey, priority: Priority = 'normal'): void => {
    resync.onEvent(workload);
    queue.add(workload, priority);
  };
  const onChange = (change: Change, { workloads }: Affected): void => {
    const priority = workloads.size > MANY_WORKLOADS ? 'low' : 'normal';
    for (const workload of workloads) enqueue(workload, priority);
    if (change.kind === 'pod' && change.after !== undefined) options.touches?.add([change.after], 'normal');
  };
  const notify = (change: Change): void => onChange(change, clusterState.selection.apply(change));
  const renew = (): void => {
    for (const workload of allWorkloads(options)) enqueue(workload, 'low');
  };
  return { queue, notify, renew, run: (signal) => run(options, { queue, resync, enqueue, onChange, notify }, signal) };
}

interface Parts extends Pick<Pipeline, 'queue' | 'notify'> {
  readonly resync: Resync;
  readonly enqueue: (workload: WorkloadKey, priority?: Priority) => void;
  readonly onChange: (change: Change, affected: Affected) => void;
}

async function run(options: PipelineOptions, parts: Parts, signal: AbortSignal): Promise<void> {
  const { clusterState, jwksCache, delivery } = options;
  const { queue, resync, enqueue, onChange, notify } = parts;
  const unsubscribes = [
    clusterState.subscribe(onChange),
    // A failed fetch counts too: bundles that waited for the keys are published without them.
    jwksCache.subscribe(({ owners }) => notify({ kind: 'keys', policies: owners })),
    delivery.subscribe(({ workload }) => enqueue(workloadKey(workload))),
    resync.start(() => allWorkloads(options)),
  ];
  // At low priority, so that changes overtake them: most of these workloads are published as they should be.
  for (const workload of allWorkloads(options)) queue.add(workload, 'low');
  await Promise.all([runWorkers(workersOf(options, parts), signal), options.ahead?.writes.run(signal), options.touches?.run(signal)]);
  for (const unsubscribe of unsubscribes) unsubscribe();
  queue.close();
}

function workersOf(options: PipelineOptions, { queue, resync }: Parts): WorkersOptions {
  const { ahead, observer, touches, logger, workSignal, concurrency, workerObserver, ...rest } = options;
  const afterPublish: ReconcileOptions['afterPublish'] = (key, pods, priority = queue.priorityOf(key)) => touches?.add(pods, priority);
  const handle = createReconcile({
    ...rest,
    logger,
    afterPublish,
    ...(ahead === undefined
      ? {}
      : { ahead: { announce: ahead.announce, take: (key, write) => ahead.writes.take(key, write, queue.priorityOf(key)) } }),
    observer: {
      onCompile: (durationMs, bytes) => observer?.onCompile(durationMs, bytes),
      onPublish: (outcome, workload) => {
        observer?.onPublish(outcome, workload);
        resync.onPublish(outcome, workload);
      },
    },
  });
  return {
    queue,
    handle,
    logger,
    ...(workSignal === undefined ? {} : { handleSignal: workSignal }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(workerObserver === undefined ? {} : { observer: workerObserver }),
  };
}

/** Every workload that has an agent or a published bundle. */
function allWorkloads({ clusterState, ledger }: PipelineOptions): ReadonlySet<WorkloadKey> {
  const published = [...ledger.records()].flatMap((record) => (record.published === undefined ? [] : [record.key]));
  return new Set([...clusterState.selection.workloads(), ...published]);
}

/** Keeps the key cache informed of the active JWT rules, on every replica. @returns a function that ends this */
export function wantKeys(clusterState: ClusterState, jwksCache: JwksCache): () => void {
  const rulesOf = (policy: Policy | undefined): Parameters<JwksCache['want']>[2] =>
    policy?.kind === 'RequestAuthentication' ? (policy.spec.jwtRules ?? []) : [];
  for (const { key, active } of clusterState.policies.values()) {
    if (active !== undefined) jwksCache.want(key, active.metadata.namespace, rulesOf(active));
  }
  return clusterState.subscribe((change) => {
    if (change.kind !== 'policy') return;
    const policy = change.after ?? change.before;
    if (policy?.kind !== 'RequestAuthentication') return;
    const { namespace, annotations } = policy.metadata;
    jwksCache.want(policyKeyOf(policy), namespace, rulesOf(change.after));
    // The keys of a new policy are fetched anyway.
    if (change.before === undefined || change.after === undefined) return;
    const wish = annotations?.[REFRESH_KEYS_ANNOTATION];
    if (wish === undefined || wish === change.before.metadata.annotations?.[REFRESH_KEYS_ANNOTATION]) return;
    for (const rule of rulesOf(policy)) jwksCache.seek(rule, namespace, '');
  });
}
