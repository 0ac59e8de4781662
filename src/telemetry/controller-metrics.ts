/*
 * The controller's metrics. Queue, worker and client metrics have the names of controller-runtime and client-go, so that
 * existing dashboards work; the others begin with `sallyport_`. No label takes a value that a request or a tenant's object
 * can choose; key sources are summed up by namespace.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { LOST_LINES } from './line-writer.ts';

/** Values that are read at each scrape. */
export interface ControllerGauges {
  /** Number of workloads by the state of their bundle: `published`, `pending`, `refused`. */
  readonly bundles: () => Readonly<Record<string, number>>;
  /** Number of policies by kind and by whether their newest version is valid. */
  readonly policies: () => readonly { readonly kind: string; readonly valid: boolean; readonly count: number }[];
  /** Number of workloads with and without an agent. */
  readonly workloads: () => { readonly withAgent: number; readonly withoutAgent: number };
  /** Seconds since the last successful fetch of each key source, with the namespaces that use it; undefined: none succeeded yet. */
  readonly keyAges: () => readonly { readonly namespaces: Iterable<string>; readonly ageSeconds: number | undefined }[];
  /** Whether bundles can be signed; undefined: not known yet. */
  readonly signingKeysUsable: () => boolean | undefined;
  /** Milliseconds that each key in work has been processed so far, by queue. */
  readonly running: () => Readonly<Record<string, readonly number[]>>;
}

/** Observer of a work queue; durations in milliseconds. */
export interface QueueMetrics {
  readonly onDepth: (depth: number) => void;
  readonly onAdd: () => void;
  readonly onTake: (queuedMs: number) => void;
  readonly onDone: (workedMs: number) => void;
  readonly onRetry: () => void;
}

/** Observer of the workers of a queue. */
export interface WorkerMetrics {
  readonly onActive: (change: 1 | -1) => void;
  readonly onResult: (result: string, durationMs: number) => void;
}

/** Observer of the feed. */
export interface FeedMetrics {
  readonly onRefused: (reason: string) => void;
  readonly onClosed: (reason: string) => void;
  readonly onBundle: (result: string) => void;
  readonly onUnknownKey: (result: string) => void;
}

/** The streams of the feed that are open now. */
export interface OpenStreams {
  readonly streams: () => number;
  /** Agents that hold theirs to other replicas, on the leader. */
  readonly relayed: () => number;
  /** Whether this replica reports its agents to the leader. */
  readonly isRelaying: () => boolean;
  /** Pods that hold two. */
  readonly doubled: () => number;
  /** Addresses of pods whose identity is known. */
  readonly identities: () => number;
  /** Agents that ask for them. */
  readonly identityStreams: () => number;
}

/** Observers of the controller's parts, and the registry that they write to. */
export interface ControllerMetrics {
  readonly queue: (name: string) => QueueMetrics;
  readonly workers: (name: string, concurrency: number) => WorkerMetrics;
  readonly onRequest: (sample: { readonly method: string; readonly code: string; readonly host: string }) => void;
  readonly onLeader: (leading: boolean) => void;
  readonly onWatchRestart: (resource: string, reason: string) => void;
  readonly onCompile: (durationMs: number, bytes: number) => void;
  readonly onPublish: (result: string) => void;
  readonly onKeyFetch: (result: 'success' | 'failure', namespaces: Iterable<string>) => void;
  readonly onTouch: (result: 'patched' | 'gone' | 'failed') => void;
  readonly onStatusWrite: (result: string) => void;
  readonly onReportWrite: (result: string) => void;
  /** @param changes bundles that a periodic resync updated because a watch event was missed; expected to be 0 */
  readonly onResync: (changes: number) => void;
  /** Another client changed a published bundle. */
  readonly onTampered: () => void;
  /** Observers of the feed; to be called once, and only with a feed. @param open what is open now */
  readonly feed: (open: OpenStreams) => FeedMetrics;
  /** Spans were exported, or dropped. */
  readonly onSpans: (result: 'exported' | 'dropped', count: number) => void;
  /** A profile of the process was asked for. */
  readonly onProfile: (result: string) => void;
  readonly onConfigReload: (result: 'success' | 'failure') => void;
  /** Registers the sources of the gauges; called once, when the parts exist. */
  readonly observe: (gauges: ControllerGauges) => void;
  readonly registry: Registry;
  /** The text of `/metrics`. */
  readonly text: () => Promise<string>;
}

const QUEUE_SECONDS: number[] = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100];
const BUNDLE_BYTES: number[] = [512, 2048, 8192, 32_768, 131_072, 524_288, 2_097_152];
const WORK_SECONDS: number[] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** What the metrics name. */
export interface ControllerInfo {
  readonly version: string;
  /** Name of the Lease for which replicas compete; absent: `sallyport-controller`. */
  readonly lease?: string;
}

/** A new registry with all metrics; one per process. */
export function createControllerMetrics({ version, lease = 'sallyport-controller' }: ControllerInfo): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges with the suffix of counters, and sums of the metrics without it.
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const counters = createCounters(registry);
  registerLostLines(registry);
  const compile = histogram(registry, ['sallyport_bundle_compile_seconds', 'Seconds to compile and encode one bundle.', []], WORK_SECONDS);
  const bytes = histogram(registry, ['sallyport_bundle_bytes', 'Size of a bundle as JSON in bytes, before compression.', []], BUNDLE_BYTES);
  const leader = gauge(registry, ['leader_election_master_status', '1 while this replica is the leader, else 0.', ['name']]);
  gauge(registry, ['sallyport_build_info', 'Version of the controller.', ['version']]).set({ version }, 1);
  leader.set({ name: lease }, 0);
  const lastReload = gauge(registry, [
    'sallyport_config_last_reload_successful',
    '1 while the mounted configuration is active, 0 while it or something that it refers to is refused.',
    [],
  ]);
  lastReload.set(1);
  return {
    registry,
    queue: queueMetrics(registry),
    workers: workerMetrics(registry),
    onRequest: ({ method, code, host }) => counters.requests.inc({ code, method, host }),
    onLeader: (leading) => leader.set({ name: lease }, leading ? 1 : 0),
    onWatchRestart: (resource, reason) => counters.restarts.inc({ resource, reason }),
    onCompile: (durationMs, size) => {
      compile.observe(durationMs / 1000);
      bytes.observe(size);
    },
    onPublish: (result) => counters.publishes.inc({ result }),
    onKeyFetch: (result, namespaces) => {
      for (const namespace of namespaces) counters.keyFetches.inc({ result, namespace });
    },
    onTouch: (result) => counters.touches.inc({ result }),
    onStatusWrite: (result) => counters.statusWrites.inc({ result }),
    onReportWrite: (result) => counters.reportWrites.inc({ result }),
    onResync: (changes) => counters.resyncChanges.inc(changes),
    onTampered: () => counters.tampered.inc(),
    onSpans: (result, spans) => counters.spans.inc({ result }, spans),
    onProfile: (result) => counters.profiles.inc({ result }),
    feed: (open) => feedMetrics(registry, open),
    onConfigReload: (result) => {
      counters.reloads.inc({ result });
      lastReload.set(result === 'success' ? 1 : 0);
    },
    observe: (gauges) => registerGauges(registry, gauges),
    text: () => registry.metrics(),
  };
}

function feedMetrics(registry: Registry, open: OpenStreams): FeedMetrics {
  const { streams, relayed, isRelaying, doubled, identities, identityStreams } = open;
  collected(registry, ['sallyport_feed_streams', 'Agents that hold a stream of the feed to this replica.', []], (into) =>
    into.set(streams()),
  );
  collected(
    registry,
    ['sallyport_feed_relayed_streams', 'Agents that hold a stream of the feed to another replica; known to the leader only.', []],
    (into) => into.set(relayed()),
  );
  collected(
    registry,
    ['sallyport_feed_relaying', '1 while this replica serves agents for the leader, 0 while it leads or cannot.', []],
    (into) => into.set(isRelaying() ? 1 : 0),
  );
  collected(
    registry,
    ['sallyport_feed_doubled_pods', 'Pods in which two agents hold a stream of the feed; expected to be 0.', []],
    (into) => into.set(doubled()),
  );
  collected(
    registry,
    ['sallyport_feed_identities', 'Addresses of pods whose identity agents may use, with `mesh.peerIdentity.podIP`.', []],
    (into) => into.set(identities()),
  );
  collected(registry, ['sallyport_feed_identity_streams', 'Agents that ask for identities of pods.', []], (into) =>
    into.set(identityStreams()),
  );
  const make = (name: string, help: string, label: string): Counter =>
    new Counter({ name, help, labelNames: [label], registers: [registry] });
  const refused = make('sallyport_feed_refused_total', 'Connections that got no stream of the feed, by reason.', 'reason');
  const closed = make('sallyport_feed_closed_total', 'Streams of the feed that ended, by reason.', 'reason');
  const bundles = make('sallyport_feed_bundles_total', 'Bundles that were sent over the feed, and what agents said about them.', 'result');
  const unknownKeys = make(
    'sallyport_feed_unknown_keys_total',
    'Keys that tokens named and that agents lacked, by what came of them.',
    'result',
  );
  return {
    onRefused: (reason) => refused.inc({ reason }),
    onClosed: (reason) => closed.inc({ reason }),
    onBundle: (result) => bundles.inc({ result }),
    onUnknownKey: (result) => unknownKeys.inc({ result }),
  };
}

function registerLostLines(registry: Registry): void {
  const name = 'sallyport_log_dropped_total';
  const help = 'Log lines lost because the reader of the log was too slow or gone.';
  const counter = new Counter({
    name,
    help,
    registers: [registry],
    collect: () => {
      counter.reset();
      counter.inc(LOST_LINES.log);
    },
  });
}

function createCounters(registry: Registry): {
  readonly requests: Counter;
  readonly restarts: Counter;
  readonly publishes: Counter;
  readonly keyFetches: Counter;
  readonly touches: Counter;
  readonly statusWrites: Counter;
  readonly reportWrites: Counter;
  readonly resyncChanges: Counter;
  readonly profiles: Counter;
  readonly spans: Counter;
  readonly reloads: Counter;
  readonly tampered: Counter;
} {
  const make = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  return {
    requests: make('rest_client_requests_total', 'Requests to the API server by method and status code.', ['code', 'method', 'host']),
    restarts: make('sallyport_watch_restarts_total', 'Watches that had to list or connect again, by resource and reason.', [
      'resource',
      'reason',
    ]),
    publishes: make('sallyport_bundle_publish_total', 'Attempts to publish a bundle, by result.', ['result']),
    keyFetches: make('sallyport_jwks_fetch_total', 'JWKS fetches by namespace of the policies and result.', ['result', 'namespace']),
    touches: make('sallyport_pod_touch_total', 'Patches of the kubelet resync annotation of pods, by result.', ['result']),
    statusWrites: make('sallyport_status_write_total', 'Status updates of policies by result.', ['result']),
    reportWrites: make('sallyport_report_write_total', 'Updates of reports of openreports.io by result.', ['result']),
    resyncChanges: make('sallyport_resync_changes_total', 'Bundles that a periodic resync updated because a watch event was missed.'),
    spans: make('sallyport_spans_total', 'Spans of traces by what became of them.', ['result']),
    profiles: make('sallyport_profiles_total', 'Requests for profiles of the controller by what became of them.', ['result']),
    reloads: make('sallyport_config_reload_total', 'Reloads of the configuration file by result.', ['result']),
    tampered: make(
      'sallyport_bundle_tampered_total',
      'Published bundles that another client had changed, and that were written again.',
      [],
    ),
  };
}

function queueMetrics(registry: Registry): (name: string) => QueueMetrics {
  const depth = gauge(registry, ['workqueue_depth', 'Keys waiting in the queue.', ['name']]);
  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys added to the queue.', labelNames: ['name'], registers: [registry] });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Keys added again after a failure.',
    labelNames: ['name'],
    registers: [registry],
  });
  const queued = histogram(
    registry,
    ['workqueue_queue_duration_seconds', 'Seconds that a key waited in the queue.', ['name']],
    QUEUE_SECONDS,
  );
  const worked = histogram(registry, ['workqueue_work_duration_seconds', 'Seconds to process a key.', ['name']], QUEUE_SECONDS);
  return (name) => {
    depth.set({ name }, 0);
    return {
      onDepth: (value) => depth.set({ name }, value),
      onAdd: () => adds.inc({ name }),
      onTake: (queuedMs) => queued.observe({ name }, queuedMs / 1000),
      onDone: (workedMs) => worked.observe({ name }, workedMs / 1000),
      onRetry: () => retries.inc({ name }),
    };
  };
}

function workerMetrics(registry: Registry): (controller: string, concurrency: number) => WorkerMetrics {
  const labelled = (name: string, help: string, more: string[] = []): Counter =>
    new Counter({ name, help, labelNames: ['controller', ...more], registers: [registry] });
  const total = labelled('controller_runtime_reconcile_total', 'Processed keys by result.', ['result']);
  const errors = labelled('controller_runtime_reconcile_errors_total', 'Keys whose processing failed.');
  const terminal = labelled(
    'controller_runtime_terminal_reconcile_errors_total',
    'Keys that failed and are not retried before they change.',
  );
  const active = gauge(registry, ['controller_runtime_active_workers', 'Workers that process a key.', ['controller']]);
  const limit = gauge(registry, ['controller_runtime_max_concurrent_reconciles', 'Maximum number of concurrent workers.', ['controller']]);
  const seconds = histogram(
    registry,
    ['controller_runtime_reconcile_time_seconds', 'Seconds to process a key.', ['controller']],
    WORK_SECONDS,
  );
  return (controller, concurrency) => {
    limit.set({ controller }, concurrency);
    active.set({ controller }, 0);
    return {
      onActive: (change) => active.inc({ controller }, change),
      onResult: (result, durationMs) => {
        const failed = result === 'error' || result === 'terminal_error' || result === 'bug';
        total.inc({ controller, result: failed ? 'error' : result });
        if (failed) errors.inc({ controller });
        if (result === 'terminal_error') terminal.inc({ controller });
        seconds.observe({ controller }, durationMs / 1000);
      },
    };
  };
}

function registerGauges(registry: Registry, gauges: ControllerGauges): void {
  collected(registry, ['sallyport_bundles', 'Workloads by state of their bundle.', ['state']], (into) => {
    for (const [state, count] of Object.entries(gauges.bundles())) into.set({ state }, count);
  });
  collected(
    registry,
    ['sallyport_policies', 'Policies by kind and by whether their newest version is valid.', ['kind', 'valid']],
    (into) => {
      for (const { kind, valid, count } of gauges.policies()) into.set({ kind, valid: String(valid) }, count);
    },
  );
  collected(registry, ['sallyport_workloads', 'Workloads by whether their pods have an agent.', ['agent']], (into) => {
    const { withAgent, withoutAgent } = gauges.workloads();
    into.set({ agent: 'true' }, withAgent);
    into.set({ agent: 'false' }, withoutAgent);
  });
  collected(
    registry,
    ['sallyport_jwks_age_seconds', 'Seconds since the last successful fetch of the oldest key set of a namespace.', ['namespace']],
    (into) => {
      for (const [namespace, ageSeconds] of oldestByNamespace(gauges.keyAges())) into.set({ namespace }, ageSeconds);
    },
  );
  collected(
    registry,
    ['sallyport_signing_keys_usable', '1 while bundles can be signed; 0: the keys are missing or invalid.', []],
    (into) => {
      const usable = gauges.signingKeysUsable();
      if (usable !== undefined) into.set(usable ? 1 : 0);
    },
  );
  collected(
    registry,
    ['workqueue_unfinished_work_seconds', 'Seconds that the keys in work have been processed so far, in total.', ['name']],
    (into) => {
      for (const [name, times] of Object.entries(gauges.running())) into.set({ name }, times.reduce((sum, ms) => sum + ms, 0) / 1000);
    },
  );
  collected(
    registry,
    ['workqueue_longest_running_processor_seconds', 'Seconds that the longest-running key has been processed so far.', ['name']],
    (into) => {
      for (const [name, times] of Object.entries(gauges.running())) into.set({ name }, Math.max(0, ...times) / 1000);
    },
  );
}

type MetricInfo = readonly [name: string, help: string, labelNames: string[]];

function collected(registry: Registry, [name, help, labelNames]: MetricInfo, fill: (into: Gauge) => void): void {
  const created: Gauge = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      created.reset();
      fill(created);
    },
  });
}

function gauge(registry: Registry, [name, help, labelNames]: MetricInfo): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function histogram(registry: Registry, [name, help, labelNames]: MetricInfo, buckets: number[]): Histogram {
  return new Histogram({ name, help, labelNames, buckets, registers: [registry] });
}

function oldestByNamespace(ages: ReturnType<ControllerGauges['keyAges']>): ReadonlyMap<string, number> {
  const oldest = new Map<string, number>();
  for (const { namespaces, ageSeconds } of ages) {
    if (ageSeconds === undefined) continue;
    for (const namespace of namespaces) oldest.set(namespace, Math.max(ageSeconds, oldest.get(namespace) ?? 0));
  }
  return oldest;
}
