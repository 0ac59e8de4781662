/*
 * What the leader adds for one term: it compiles and publishes bundles and writes statuses. It ends with the term and leaves
 * nothing behind but what the informers report.
 */
import { workloadKey } from '../api/kube/keys.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { Clock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { Recorder } from '../cluster/recorder.ts';
import { createKubeletResync } from '../delivery/kubelet-resync.ts';
import { createReportLoop, type ReportLoop } from '../reports/report-loop.ts';
import { createReportStore } from '../reports/report-store.ts';
import { createStatusLoop, type StatusLoop } from '../status/status-loop.ts';
import { createStatusWriter } from '../status/status-writer.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Tracer } from '../traces/tracer.ts';
import { type BundleWrites, type BundleWritesOptions, createBundleWrites } from './bundle-writes.ts';
import { givingWay } from './give-way.ts';
import type { InjectionEvents } from './injection-events.ts';
import { keepLastGood } from './keep-last-good.ts';
import { createLabelIndexes } from './label-indexes.ts';
import { createPipeline, type Pipeline, type PipelineOptions } from './pipeline.ts';
import type { MeshSource, Replica } from './replica.ts';
import { recordSecondStreams } from './second-stream-events.ts';
import { seedKeys } from './seed-keys.ts';
import { createTouches, type Touches, type TouchesOptions } from './touches.ts';

/** Parts and settings of the work of a leader. */
export interface TermOptions {
  readonly client: KubeClient;
  readonly mesh: MeshSource;
  readonly metrics: ControllerMetrics;
  readonly logger: Logger;
  readonly recorder: Pick<Recorder, 'record'>;
  readonly injectionEvents: InjectionEvents;
  /** Absent: no spans. */
  readonly tracer?: Tracer | undefined;
  /** Workloads reconciled at the same time. */
  readonly workers: number;
  readonly resyncMs: number;
  /** Pods patched at the same time. */
  readonly touchBatchSize: number;
  /** Whether findings are written as reports of openreports.io; absent: no. */
  readonly reports?: boolean;
  /** Present: this process has rights in these namespaces only. */
  readonly watchNamespaces?: readonly string[];
}

/** The work of the present term. */
export interface Term {
  readonly pipeline: Pipeline;
  readonly statuses: StatusLoop;
  readonly touches: Touches;
  /** Undefined: there is no feed, and bundles are written by the pipeline. */
  readonly writes: BundleWrites | undefined;
  /** Undefined: no reports are written. */
  readonly reports: ReportLoop | undefined;
}

/** When a term ends: `lost` aborts at its end for whatever reason, `stopping` only when the process is asked to stop. */
export interface TermSignals {
  readonly lost: AbortSignal;
  readonly stopping: AbortSignal;
}

/** For keys in progress at an orderly end; well below the duration of a lease that is not renewed any more. */
const FINISH_MS = 3_000;
/** Longest wait of statuses for bundles that agents do not have yet, in milliseconds. */
const STATUS_HOLD_MS = 1_000;

/**
 * Publishes until the term ends; resolves when the workers have finished.
 *
 * @param onTerm called with the work when it starts, with undefined when it has ended
 */
export async function runTerm(
  replica: Replica,
  options: TermOptions,
  { signals, onTerm }: { readonly signals: TermSignals; readonly onTerm: (term: Term | undefined) => void },
): Promise<void> {
  const { clusterState, clock, ledger } = replica;
  const { keyRing } = replica;
  const rootNamespace = (): string => options.mesh.current().rootNamespace;
  await seedKeys({ ...replica, signer: keyRing.signer, rootNamespace, logger: options.logger }, signals.lost);
  const workSignal = finishingSignal(clock, signals);
  const indexes = createLabelIndexes({ ...replica, store: replica.labelIndexStore, rootNamespace, logger: options.logger });
  const waitingWorkloads = (): number => pipeline.queue.depth();
  const waitingBundles = (): number => waitingWorkloads() + (writes?.queue.depth() ?? 0);
  const touches = createTermTouches(replica, { ...options, waitingBundles }, workSignal);
  const writes = replica.agents === undefined ? undefined : createTermWrites(replica, { ...options, waitingWorkloads }, workSignal);
  const pipeline = createTermPipeline(replica, { ...options, beforePublish: indexes.beforePublish, touches, writes }, workSignal);
  const reports = options.reports === true ? createTermReports(replica, options, workSignal) : undefined;
  const statuses = createTermStatuses(replica, { ...options, onFacts: reports?.onFacts, waitingWorkloads }, workSignal);
  const unsubscribe = options.mesh.subscribe(() => {
    pipeline.notify({ kind: 'mesh' });
    statuses.notifyAll();
    reports?.notifyAll();
  });
  const stopFollowingKeys = keyRing.subscribe(() => {
    pipeline.renew();
    statuses.notifyAll();
  });
  const stopFollowingAgents = followAgents(replica, { touches, recorder: options.recorder });
  const stopInjectionEvents = options.injectionEvents.begin(options.recorder);
  onTerm({ pipeline, statuses, touches, writes, reports });
  try {
    await Promise.all([
      pipeline.run(signals.lost),
      statuses.run(signals.lost),
      reports?.run(signals.lost),
      indexes.run(pipeline.queue.holds, signals.lost),
      keepLastGood({ store: replica.lastGoodStore, clusterState, clock, logger: options.logger }, signals.lost),
    ]);
  } finally {
    unsubscribe();
    stopInjectionEvents();
    stopFollowingAgents();
    stopFollowingKeys();
    onTerm(undefined);
    replica.delivery.endTerm();
    ledger.endTerm();
  }
}

/** Opens the feed for the term: a pod whose stream ends may need its volume again. @returns closes it */
function followAgents(
  { agents, relayed, held, fromLeader, clusterState, ledger }: Replica,
  { touches, recorder }: Pick<TermOptions, 'recorder'> & Pick<Term, 'touches'>,
): () => void {
  if (agents === undefined) return () => undefined;
  const stopEvents = recordSecondStreams(clusterState, agents, recorder);
  const unsubscribe = agents.subscribe((key) => {
    const pod = key === undefined ? undefined : clusterState.pods.get(key);
    const state = key === undefined ? undefined : agents.get(key);
    if (key === undefined || pod === undefined || state === undefined || agents.isConnected(key)) return;
    // An agent with the newest bundle needs no volume until there is another bundle.
    if (state.revision !== ledger.get(workloadKey(workloadOf(pod)))?.published?.revision) touches.add([pod], 'normal');
  });
  // What was read between the terms may have been replaced by another leader.
  relayed.clear();
  held.clear();
  fromLeader.clear();
  agents.beginTerm([...clusterState.pods.values()].filter(({ agent }) => agent?.hasFeed === true).length);
  return () => {
    unsubscribe();
    stopEvents();
    agents.endTerm();
    relayed.clear();
    held.clear();
  };
}

/**
 * Aborts with the term when it was lost: another replica may write already. At an orderly end the keys in progress have a
 * few seconds to finish; the lease is released after that.
 */
function finishingSignal(clock: Clock, { lost, stopping }: TermSignals): AbortSignal {
  const finishing = new AbortController();
  const end = (): void => {
    if (stopping.aborted) clock.after(FINISH_MS, () => finishing.abort());
    else finishing.abort();
  };
  if (lost.aborted) end();
  else lost.addEventListener('abort', end, { once: true });
  return finishing.signal;
}

function createTermPipeline(
  replica: Replica,
  options: TermOptions & Required<Pick<PipelineOptions, 'beforePublish' | 'touches'>> & Pick<Term, 'writes'>,
  workSignal: AbortSignal,
): Pipeline {
  const { metrics, workers, writes } = options;
  const logger = options.logger.child({ part: 'reconcile' });
  return createPipeline({
    ...replica,
    logger,
    mesh: options.mesh.current,
    tracer: options.tracer,
    concurrency: workers,
    resyncMs: options.resyncMs,
    onMissedChange: () => metrics.onResync(1),
    touches: options.touches,
    observer: { onCompile: metrics.onCompile, onPublish: (outcome) => metrics.onPublish(outcome) },
    workSignal,
    beforePublish: options.beforePublish,
    ...(writes === undefined ? {} : { ahead: { announce: replica.delivery.announce, writes } }),
    queueObserver: metrics.queue('workload'),
    workerObserver: metrics.workers('workload', workers),
  });
}

function createTermWrites(
  { clock }: Replica,
  { metrics, logger, workers, waitingWorkloads }: TermOptions & Required<Pick<BundleWritesOptions, 'waitingWorkloads'>>,
  workSignal: AbortSignal,
): BundleWrites {
  return createBundleWrites({
    clock,
    waitingWorkloads,
    logger: logger.child({ part: 'write' }),
    concurrency: workers,
    workSignal,
    queueObserver: metrics.queue('bundle-write'),
    workerObserver: metrics.workers('bundle-write', workers),
  });
}

function createTermTouches(
  replica: Replica,
  { client, metrics, logger, touchBatchSize, waitingBundles }: TermOptions & Required<Pick<TouchesOptions, 'waitingBundles'>>,
  workSignal: AbortSignal,
): Touches {
  return createTouches({
    ...replica,
    kubeletResync: createKubeletResync({ client, onPatch: metrics.onTouch }),
    logger: logger.child({ part: 'touch' }),
    concurrency: touchBatchSize,
    waitingBundles,
    workSignal,
    queueObserver: metrics.queue('pod-touch'),
    workerObserver: metrics.workers('pod-touch', touchBatchSize),
  });
}

function createTermReports(replica: Replica, options: TermOptions, workSignal: AbortSignal): ReportLoop {
  const { client, metrics, mesh, logger, watchNamespaces } = options;
  const hasClusterReport = watchNamespaces === undefined;
  return createReportLoop({
    ...replica,
    mesh: mesh.current,
    store: createReportStore({ client, list: replica.list, hasClusterReport }),
    hasClusterReport,
    logger: logger.child({ part: 'reports' }),
    onWrite: metrics.onReportWrite,
    workSignal,
    queueObserver: metrics.queue('report'),
    workerObserver: metrics.workers('report', 1),
  });
}

type StatusOptions = TermOptions &
  Required<Pick<BundleWritesOptions, 'waitingWorkloads'>> & { readonly onFacts: ReportLoop['onFacts'] | undefined };

function createTermStatuses(replica: Replica, options: StatusOptions, workSignal: AbortSignal): StatusLoop {
  const { metrics, client, recorder, onFacts, waitingWorkloads } = options;
  const { agents, clock } = replica;
  return createStatusLoop({
    ...replica,
    signing: () => {
      const state = replica.keyRing.state();
      return state.kind === 'ready' ? undefined : state.message;
    },
    mesh: options.mesh.current,
    write: createStatusWriter({ client, recorder }),
    logger: options.logger.child({ part: 'status' }),
    onWrite: metrics.onStatusWrite,
    // Without the feed, these workloads wait for writes.
    ...(agents === undefined ? {} : { giveWay: givingWay({ ahead: waitingWorkloads, clock, atMostMs: STATUS_HOLD_MS }) }),
    ...(onFacts === undefined ? {} : { onFacts }),
    workSignal,
    queueObserver: metrics.queue('policy-status'),
    workerObserver: metrics.workers('policy-status', 2),
  });
}
