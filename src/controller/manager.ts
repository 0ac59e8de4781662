/*
 * The controller as a whole. In: a client, settings, what else has to run in this process. Out: caches filled, then
 * leadership sought, then bundles and statuses written; at the end everything stopped in the reverse order. Called by the
 * entry point.
 */
import type { MeshConfig } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import { runWithLease } from '../cluster/lease.ts';
import { createRecorder, type Recorder } from '../cluster/recorder.ts';
import { type ConfigMapSink, createConfigMapSink } from '../delivery/config-map-sink.ts';
import { createToucher, podsToTouch } from '../delivery/kubelet-resync.ts';
import type { FetchLimits } from '../jwks/fetch-document.ts';
import { createJwksCache, type JwksCache } from '../jwks/jwks-cache.ts';
import type { Check } from '../ops-server/ops-server.ts';
import { type ClusterState, createClusterState } from '../state/cluster-state.ts';
import { createStatusLoop, type StatusLoop } from '../status/status-loop.ts';
import { createStatusWriter } from '../status/status-writer.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createGauges } from './gauges.ts';
import { createInformers, type Informer } from './informers.ts';
import { createPipeline, type Pipeline, wantKeys } from './pipeline.ts';
import { seedKeys } from './seed-keys.ts';

/** Mesh-wide settings that may change while the process runs. */
export interface MeshSource {
  readonly current: () => MeshConfig;
  readonly subscribe: (listener: () => void) => () => void;
}

export interface ManagerOptions {
  readonly client: KubeClient;
  readonly mesh: MeshSource;
  readonly metrics: ControllerMetrics;
  readonly logger: Logger;
  /** Present: only the holder of this Lease writes. Absent: this process is the only one. */
  readonly lease?: { readonly namespace: string; readonly name: string; readonly identity: string };
  /** `reportingInstance` of events; the pod's name. */
  readonly instance: string;
  readonly workers: number;
  readonly resyncMs: number;
  readonly touchBatchSize: number;
  readonly jwks: { readonly limits: FetchLimits; readonly refreshMs: number };
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface Manager {
  /** Why this replica may not be relied on yet, by name: caches that are not filled. */
  readonly checks: Readonly<Record<string, Check>>;
  /** Does this replica write at the moment? */
  readonly isLeading: () => boolean;
  /** Runs until `signal` aborts, then ends when workers are finished, the lease is given back and all streams are closed. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** For keys under work at an orderly end; well within the duration of a lease that is no longer renewed. */
const FINISH_MS = 5_000;

interface Parts {
  readonly options: ManagerOptions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly sink: ConfigMapSink;
  readonly recorder: Recorder;
  readonly informers: readonly Informer[];
  /** What the leader runs at present. */
  readonly term: { leading?: boolean; pipeline?: Pipeline; statuses?: StatusLoop };
}

/** A controller; nothing happens before {@link Manager.run}. */
export function createManager(options: ManagerOptions): Manager {
  const parts = createParts(options);
  options.metrics.observe(createGauges(parts));
  return {
    checks: Object.fromEntries(
      parts.informers.map(({ name, reflector }) => [
        `${name}-synced`,
        () => (reflector.hasSynced() ? undefined : `${name} not listed yet`),
      ]),
    ),
    isLeading: () => parts.term.leading === true,
    run: (signal) => run(parts, signal),
  };
}

function createParts(options: ManagerOptions): Parts {
  const { client, metrics, logger } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const clusterState = createClusterState(options.mesh.current);
  const sink = createConfigMapSink(client);
  const jwksCache = createJwksCache({
    ...options.jwks,
    clock,
    random,
    logger: logger.child({ component: 'jwks' }),
    observer: { onFetch: metrics.onKeyFetch },
  });
  const recorder = createRecorder({ client, controller: 'sallyport.dev/controller', instance: options.instance, logger });
  const informers = createInformers({ client, clusterState, sink, logger, onRestart: metrics.onWatchRestart });
  return { options, clock, random, clusterState, jwksCache, sink, recorder, informers, term: {} };
}

async function run(parts: Parts, signal: AbortSignal): Promise<void> {
  const { options, informers, jwksCache, recorder, clusterState } = parts;
  const { logger } = options;
  // What the leader's work reads must outlive it.
  const ending = new AbortController();
  const background = [
    ...informers.map(({ reflector }) => reflector.run(ending.signal)),
    jwksCache.run(ending.signal),
    recorder.run(ending.signal),
  ];
  const stopWanting = wantKeys(clusterState, jwksCache);
  try {
    await untilSynced(informers, signal);
    if (signal.aborted) return;
    logger.info({ policies: clusterState.policies.size(), pods: clusterState.pods.size() }, 'caches are filled');
    const { lease } = options;
    if (lease === undefined) await lead(parts, signal, signal);
    else {
      const onChange = (leading: boolean, holder: string): void => {
        options.metrics.onLeader(leading);
        logger.info({ leading, holder }, 'leadership changed');
      };
      await runWithLease({ client: options.client, ...lease, logger, onChange }, (term) => lead(parts, term, signal), signal);
    }
  } finally {
    stopWanting();
    ending.abort();
    await Promise.all(background);
    logger.info({}, 'controller stopped');
  }
}

async function untilSynced(informers: readonly Informer[], signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([stopped, Promise.all(informers.map(({ reflector }) => reflector.whenSynced))]);
}

/** One term of leadership. `stopping` tells its orderly end from its loss. */
async function lead(parts: Parts, signal: AbortSignal, stopping: AbortSignal): Promise<void> {
  const { term } = parts;
  term.leading = true;
  try {
    await publishForOneTerm(parts, signal, finishingSignal(parts.clock, signal, stopping));
  } finally {
    term.leading = false;
  }
}

/**
 * Aborts with the term when it was lost: another replica may write already. At an orderly end keys under work have some
 * seconds to be finished; the lease is given back after that.
 */
function finishingSignal(clock: Clock, signal: AbortSignal, stopping: AbortSignal): AbortSignal {
  const finishing = new AbortController();
  const end = (): void => {
    if (stopping.aborted) clock.after(FINISH_MS, () => finishing.abort());
    else finishing.abort();
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return finishing.signal;
}

async function publishForOneTerm(parts: Parts, signal: AbortSignal, workSignal: AbortSignal): Promise<void> {
  const { options, term, clusterState, jwksCache, clock } = parts;
  await seedKeys({ client: options.client, clusterState, jwksCache, clock, logger: options.logger }, signal);
  const pipeline = createLeaderPipeline(parts, workSignal);
  const statuses = createLeaderStatuses(parts, pipeline, workSignal);
  const stopMesh = options.mesh.subscribe(() => {
    pipeline.notify({ kind: 'mesh' });
    statuses.notifyAll();
  });
  Object.assign(term, { pipeline, statuses });
  try {
    await Promise.all([pipeline.run(signal), statuses.run(signal)]);
  } finally {
    stopMesh();
    delete term.pipeline;
    delete term.statuses;
  }
}

function createLeaderPipeline(parts: Parts, workSignal: AbortSignal): Pipeline {
  const { options, clusterState, jwksCache, sink, clock, random } = parts;
  const { metrics } = options;
  const logger = options.logger.child({ component: 'reconcile' });
  return createPipeline({
    clusterState,
    jwksCache,
    sink,
    clock,
    random,
    logger,
    mesh: options.mesh.current,
    concurrency: options.workers,
    resyncMs: options.resyncMs,
    onResync: metrics.onResync,
    afterApply: createToucher({ client: options.client, batchSize: options.touchBatchSize, logger, onTouch: metrics.onTouch }),
    needsAfterApply: (pod, digest) => podsToTouch([pod], digest).length > 0,
    observer: metrics,
    workSignal,
    queueObserver: metrics.queue('workload'),
    workerObserver: metrics.workers('workload', options.workers),
  });
}

function createLeaderStatuses(parts: Parts, pipeline: Pipeline, workSignal: AbortSignal): StatusLoop {
  const { options, clusterState, jwksCache, clock, recorder } = parts;
  const { metrics } = options;
  return createStatusLoop({
    mesh: options.mesh.current,
    clusterState,
    jwksCache,
    clock,
    publications: pipeline.publications,
    write: createStatusWriter({ client: options.client, recorder }),
    logger: options.logger.child({ component: 'status' }),
    onWrite: metrics.onStatusWrite,
    workSignal,
    queueObserver: metrics.queue('policy-status'),
    workerObserver: metrics.workers('policy-status', 2),
  });
}
