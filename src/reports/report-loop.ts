/*
 * Keeps the reports up to date while this replica leads. The status loop says what it found out about each policy; the report of the
 * policy's namespace is written a moment later, if it says something else than before.
 */
import type { PolicyKey } from '../api/kube/keys.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { type Clock, sleep } from '../clock.ts';
import { RefusedError } from '../errors.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import type { PolicyFacts } from '../status/conditions.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import { type PolicyResult, policyResults } from './policy-results.ts';
import { isSameReport, MAX_RESULTS, type ReportContent, reportContent } from './report.ts';
import { type ReportPlace, type ReportStore, WHOLE_CLUSTER } from './report-store.ts';

/** Parts and settings of a report loop. */
export interface ReportLoopOptions {
  readonly clusterState: Pick<ClusterState, 'policies'>;
  /** The current mesh settings. */
  readonly mesh: () => Pick<MeshConfig, 'rootNamespace'>;
  readonly store: ReportStore;
  /** Policies of the root namespace are reported in a ClusterReport; false: in the Report of that namespace. */
  readonly hasClusterReport: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onWrite?: (result: 'updated' | 'unchanged' | 'deleted') => void;
  /** Time between a finding and the report with it, in milliseconds; further ones meanwhile add nothing; default 2000. */
  readonly settleMs?: number;
  /** Time between two reads of all reports, which find those that other clients changed, in milliseconds; default 10 minutes. */
  readonly rereadMs?: number;
  /** Time until reports that cannot be read are read again, in milliseconds; default 10 s. */
  readonly retryMs?: number;
  /** Aborts the write in progress, some time after the loop stopped; absent: immediately. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

/** Keeps all reports up to date. */
export interface ReportLoop {
  readonly queue: WorkQueue;
  /** Takes what the status of a policy says now. */
  readonly onFacts: (entry: PolicyEntry, facts: PolicyFacts) => void;
  /** Queues every report, after mesh settings changed. */
  readonly notifyAll: () => void;
  /** Writes reports until `signal` aborts; resolves when the worker has finished. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A loop; it does nothing before {@link ReportLoop.run}. */
export function createReportLoop(options: ReportLoopOptions): ReportLoop {
  const loop = new Loop(options);
  return {
    queue: loop.queue,
    onFacts: (entry, facts) => loop.put(entry, facts),
    notifyAll: () => loop.enqueueAll(),
    run: (signal) => loop.run(signal),
  };
}

class Loop {
  readonly queue: WorkQueue;
  readonly #options: ReportLoopOptions;
  /** What was found out about each policy in this term; at most as many results of each as a report may have. */
  readonly #found = new Map<PolicyKey, readonly PolicyResult[]>();
  /** What the reports in the cluster say; undefined: not known. */
  #published: Map<ReportPlace, ReportContent> | undefined;
  /** A write met a missing namespace or CRD since the last read. */
  #isStale = false;
  #problem = '';

  constructor(options: ReportLoopOptions) {
    this.#options = options;
    this.queue = createWorkQueue({
      clock: options.clock,
      groupOf: (place) => place,
      maxDelayMs: MAX_RETRY_DELAY_MS,
      ...(options.queueObserver === undefined ? {} : { observer: options.queueObserver }),
    });
  }

  put(entry: PolicyEntry, facts: PolicyFacts): void {
    const before = this.#found.get(entry.key);
    const results = policyResults(entry, facts).slice(0, MAX_RESULTS);
    this.#found.set(entry.key, results);
    // Most changes of a policy leave it without anything to report.
    if (before === undefined || before.length > 0 || results.length > 0) this.#enqueue(this.#placeOf(entry.namespace));
  }

  enqueueAll(): void {
    const namespaces = new Set([...this.#options.clusterState.policies.values()].map(({ namespace }) => namespace));
    const places = [...namespaces].map((namespace) => this.#placeOf(namespace));
    for (const place of new Set([...places, ...(this.#published?.keys() ?? [])])) this.#enqueue(place);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clusterState, logger, workSignal, workerObserver } = this.#options;
    const unsubscribe = clusterState.policies.subscribe(({ key, before, after }) => {
      if (after !== undefined) return;
      this.#found.delete(key);
      if (before !== undefined) this.#enqueue(this.#placeOf(before.namespace));
    });
    const workers = runWorkers(
      {
        queue: this.queue,
        handle: (place, handleSignal) => this.#handle(place, handleSignal),
        logger,
        concurrency: 1,
        ...(workSignal === undefined ? {} : { handleSignal: workSignal }),
        ...(workerObserver === undefined ? {} : { observer: workerObserver }),
      },
      signal,
    );
    await Promise.all([workers, this.#keepReading(signal)]);
    unsubscribe();
    this.queue.close();
  }

  #placeOf(namespace: string): ReportPlace {
    return this.#options.hasClusterReport && namespace === this.#options.mesh().rootNamespace ? WHOLE_CLUSTER : namespace;
  }

  #enqueue(place: ReportPlace): void {
    this.queue.addAfter(place, this.#options.settleMs ?? 2_000);
  }

  async #handle(place: ReportPlace, signal: AbortSignal): Promise<undefined> {
    const published = this.#published;
    const policies = this.#policiesOf(place);
    // Until every policy has been looked at, the report of an earlier leader says more. What is missing queues the place again.
    if (published === undefined || policies.some(({ key, uid }) => uid !== undefined && !this.#found.has(key))) return;
    const before = published.get(place);
    const results = policies.flatMap(({ key }) => this.#found.get(key) ?? []);
    const content = reportContent(results, before, this.#options.clock.wallMs());
    if (isSameReport(before, content)) {
      this.#options.onWrite?.('unchanged');
      return;
    }
    try {
      if (content === undefined) await this.#options.store.remove(place, signal);
      else await this.#options.store.write(place, content, signal);
    } catch (error) {
      // The namespace is gone, or the CRD is; the next read says which.
      if (!isNotFound(error)) throw error;
      this.#isStale = true;
      return;
    }
    if (content === undefined) published.delete(place);
    else published.set(place, content);
    this.#options.onWrite?.(content === undefined ? 'deleted' : 'updated');
  }

  #policiesOf(place: ReportPlace): readonly PolicyEntry[] {
    const namespace = place === WHOLE_CLUSTER ? this.#options.mesh().rootNamespace : place;
    return this.#placeOf(namespace) === place ? this.#options.clusterState.policies.byIndex('scope', namespace) : [];
  }

  async #keepReading(signal: AbortSignal): Promise<void> {
    const { clock, rereadMs = 600_000, retryMs = 10_000 } = this.#options;
    while (!signal.aborted) {
      const waitMs = (await this.#read(signal)) ? rereadMs : retryMs;
      this.#isStale = false;
      for (let waitedMs = 0; waitedMs < waitMs && !this.#isStale && !signal.aborted; waitedMs += retryMs)
        await sleep(clock, retryMs, signal);
    }
  }

  async #read(signal: AbortSignal): Promise<boolean> {
    try {
      this.#published = new Map(await this.#options.store.readAll(signal));
      if (this.#problem !== '') this.#options.logger.info({}, 'reports can be read again');
      this.#problem = '';
      this.enqueueAll();
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      this.#published = undefined;
      const problem = isNotFound(error) ? 'the CRDs of openreports.io are not installed' : 'reports cannot be read';
      // An outage is reported once, not at each attempt.
      if (problem !== this.#problem) this.#options.logger.warn({ err: error }, `${problem}; no reports are written`);
      this.#problem = problem;
      return false;
    }
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof RefusedError && error.code === 'SP_KUBE_NOT_FOUND';
}
