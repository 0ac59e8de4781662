/*
 * The controller's metrics. In: calls from the rooms, through small observers. Out: a registry in Prometheus' text form.
 * Names of machinery are those of controller-runtime and client-go, so that existing dashboards work; ours begin with
 * `sallyport_`. No label has a value that a request or a tenant's object can choose, except the URL of a key source.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Numbers that are read when somebody looks, not pushed. */
export interface ControllerGauges {
  /** Workloads by what their bundle is: `published`, `pending`, `refused`. */
  readonly bundles: () => Readonly<Record<string, number>>;
  /** Policies by kind and whether their newest version is valid. */
  readonly policies: () => readonly { readonly kind: string; readonly valid: boolean; readonly count: number }[];
  /** Workloads with and without an agent. */
  readonly workloads: () => { readonly withAgent: number; readonly withoutAgent: number };
  /** Seconds since the last good fetch of each key source; sources that never answered are left out. */
  readonly keyAges: () => readonly { readonly url: string; readonly ageSeconds: number | undefined }[];
  /** Milliseconds that each key under work has been so, by queue. */
  readonly running: () => Readonly<Record<string, readonly number[]>>;
}

/** What a work queue reports to; durations in milliseconds. */
export interface QueueMetrics {
  readonly onDepth: (depth: number) => void;
  readonly onAdd: () => void;
  readonly onTake: (queuedMs: number) => void;
  readonly onDone: (workedMs: number) => void;
  readonly onRetry: () => void;
}

/** What the workers of a queue report to. */
export interface WorkerMetrics {
  readonly onActive: (change: 1 | -1) => void;
  readonly onResult: (result: string, durationMs: number) => void;
}

export interface ControllerMetrics {
  readonly queue: (name: string) => QueueMetrics;
  readonly workers: (name: string, concurrency: number) => WorkerMetrics;
  readonly onRequest: (sample: { readonly method: string; readonly code: string; readonly host: string }) => void;
  readonly onLeader: (leading: boolean) => void;
  readonly onWatchRestart: (resource: string, reason: string) => void;
  readonly onCompile: (durationMs: number, bytes: number) => void;
  readonly onPublish: (result: string) => void;
  readonly onKeyFetch: (result: 'success' | 'failure', url: string) => void;
  readonly onTouch: (result: 'patched' | 'gone' | 'failed') => void;
  readonly onStatusWrite: (result: string) => void;
  /** A periodic resync found `changes` bundles that no event had brought up to date: more than none is a bug. */
  readonly onResync: (changes: number) => void;
  readonly onConfigReload: (result: 'success' | 'failure') => void;
  /** Says where gauges are read from; called once, when the parts exist. */
  readonly observe: (gauges: ControllerGauges) => void;
  readonly registry: Registry;
  /** The text of `/metrics`. */
  readonly text: () => Promise<string>;
}

const QUEUE_SECONDS: number[] = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100];
const BUNDLE_BYTES: number[] = [512, 2048, 8192, 32_768, 131_072, 524_288, 2_097_152];
const WORK_SECONDS: number[] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A fresh registry with every metric in it; one per process. */
export function createControllerMetrics(info: { readonly version: string }): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = createCounters(registry);
  const compile = histogram(registry, ['sallyport_bundle_compile_seconds', 'Time to compile and encode one bundle.', []], WORK_SECONDS);
  const bytes = histogram(registry, ['sallyport_bundle_bytes', 'Size of a bundle as plain JSON.', []], BUNDLE_BYTES);
  const leader = gauge(registry, ['leader_election_master_status', '1 while this replica leads.', ['name']]);
  gauge(registry, ['sallyport_build_info', 'Version of the running program.', ['version']]).set({ version: info.version }, 1);
  leader.set({ name: 'sallyport-controller' }, 0);
  return {
    registry,
    queue: queueMetrics(registry),
    workers: workerMetrics(registry),
    onRequest: ({ method, code, host }) => counters.requests.inc({ code, method, host }),
    onLeader: (leading) => leader.set({ name: 'sallyport-controller' }, leading ? 1 : 0),
    onWatchRestart: (resource, reason) => counters.restarts.inc({ resource, reason }),
    onCompile: (durationMs, size) => {
      compile.observe(durationMs / 1000);
      bytes.observe(size);
    },
    onPublish: (result) => counters.publishes.inc({ result }),
    onKeyFetch: (result, url) => counters.keyFetches.inc({ result, url }),
    onTouch: (result) => counters.touches.inc({ result }),
    onStatusWrite: (result) => counters.statusWrites.inc({ result }),
    onResync: (changes) => counters.resyncChanges.inc(changes),
    onConfigReload: (result) => counters.reloads.inc({ result }),
    observe: (gauges) => registerGauges(registry, gauges),
    text: () => registry.metrics(),
  };
}

function createCounters(registry: Registry): {
  readonly requests: Counter;
  readonly restarts: Counter;
  readonly publishes: Counter;
  readonly keyFetches: Counter;
  readonly touches: Counter;
  readonly statusWrites: Counter;
  readonly resyncChanges: Counter;
  readonly reloads: Counter;
} {
  const make = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  return {
    requests: make('rest_client_requests_total', 'Requests to the API server.', ['code', 'method', 'host']),
    restarts: make('sallyport_watch_restarts_total', 'Watches that had to be listed or connected anew.', ['resource', 'reason']),
    publishes: make('sallyport_bundle_publish_total', 'Bundles given to the sink.', ['result']),
    keyFetches: make('sallyport_jwks_fetch_total', 'Fetches of key sets.', ['result', 'url']),
    touches: make('sallyport_pod_touch_total', 'Pods whose annotation was patched so that their volume is refreshed.', ['result']),
    statusWrites: make('sallyport_status_write_total', 'Policies whose status was looked at.', ['result']),
    resyncChanges: make('sallyport_resync_changes_total', 'Bundles that only the periodic resync brought up to date.'),
    reloads: make('sallyport_config_reload_total', 'Reloads of the configuration file.', ['result']),
  };
}

function queueMetrics(registry: Registry): (name: string) => QueueMetrics {
  const depth = gauge(registry, ['workqueue_depth', 'Keys that wait.', ['name']]);
  const adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys added.', labelNames: ['name'], registers: [registry] });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Keys added after a failure.',
    labelNames: ['name'],
    registers: [registry],
  });
  const queued = histogram(registry, ['workqueue_queue_duration_seconds', 'Time that a key waited.', ['name']], QUEUE_SECONDS);
  const worked = histogram(registry, ['workqueue_work_duration_seconds', 'Time that a key was worked on.', ['name']], QUEUE_SECONDS);
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
  const total = labelled('controller_runtime_reconcile_total', 'Keys handled.', ['result']);
  const errors = labelled('controller_runtime_reconcile_errors_total', 'Keys whose handling failed.');
  const terminal = labelled('controller_runtime_terminal_reconcile_errors_total', 'Keys that wait for a change after a failure.');
  const active = gauge(registry, ['controller_runtime_active_workers', 'Workers with a key.', ['controller']]);
  const limit = gauge(registry, ['controller_runtime_max_concurrent_reconciles', 'Workers.', ['controller']]);
  const seconds = histogram(registry, ['controller_runtime_reconcile_time_seconds', 'Time to handle a key.', ['controller']], WORK_SECONDS);
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
  collected(registry, ['sallyport_bundles', 'Workloads by the state of their bundle.', ['state']], (into) => {
    for (const [state, count] of Object.entries(gauges.bundles())) into.set({ state }, count);
  });
  collected(registry, ['sallyport_policies', 'Policies by kind and validity of their newest version.', ['kind', 'valid']], (into) => {
    for (const { kind, valid, count } of gauges.policies()) into.set({ kind, valid: String(valid) }, count);
  });
  collected(registry, ['sallyport_workloads', 'Workloads with and without an agent.', ['agent']], (into) => {
    const { withAgent, withoutAgent } = gauges.workloads();
    into.set({ agent: 'true' }, withAgent);
    into.set({ agent: 'false' }, withoutAgent);
  });
  collected(registry, ['sallyport_jwks_age_seconds', 'Time since the last good fetch of a key set.', ['url']], (into) => {
    for (const { url, ageSeconds } of gauges.keyAges()) if (ageSeconds !== undefined) into.set({ url }, ageSeconds);
  });
  collected(registry, ['workqueue_unfinished_work_seconds', 'Time spent so far on keys under work.', ['name']], (into) => {
    for (const [name, times] of Object.entries(gauges.running())) into.set({ name }, times.reduce((sum, ms) => sum + ms, 0) / 1000);
  });
  collected(registry, ['workqueue_longest_running_processor_seconds', 'Longest time of a key under work.', ['name']], (into) => {
    for (const [name, times] of Object.entries(gauges.running())) into.set({ name }, Math.max(0, ...times) / 1000);
  });
}

type MetricInfo = readonly [name: string, help: string, labelNames: string[]];

function collected(registry: Registry, [name, help, labelNames]: MetricInfo, fill: (into: Gauge) => void): void {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      made.reset();
      fill(made);
    },
  });
}

function gauge(registry: Registry, [name, help, labelNames]: MetricInfo): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function histogram(registry: Registry, [name, help, labelNames]: MetricInfo, buckets: number[]): Histogram {
  return new Histogram({ name, help, labelNames, buckets, registers: [registry] });
}
