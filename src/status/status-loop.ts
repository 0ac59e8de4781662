/*
 * Keeps the status of every policy up to date while this replica leads. Changes of policies, pods, ledger records and keys
 * queue the policies that they concern; each is handled once after a short delay, however many changes there were.
 */
import { type PolicyKey, parsePolicyKey, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { INJECTION_LABEL } from '../api/kube/names.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { Clock } from '../clock.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createWorkQueue, type QueueObserver, type WorkQueue } from '../workqueue/queue.ts';
import { MAX_RETRY_DELAY_MS, runWorkers, type WorkerObserver } from '../workqueue/workers.ts';
import type { AgentReportsView } from './agent-reports.ts';
import type { PolicyFacts } from './conditions.ts';
import { type FactSources, policyFacts } from './policy-facts.ts';
import type { StatusWriter } from './status-writer.ts';
import { isUnverified, type RecordChange, type WorkloadRecord } from './workload-ledger.ts';

/** Parts and settings of a status loop. */
export interface StatusLoopOptions extends FactSources {
  readonly jwksCache: Pick<JwksCache, 'stateOf' | 'subscribe'>;
  readonly write: StatusWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onWrite?: (result: 'updated' | 'unchanged' | 'gone') => void;
  /** Called with the facts about each policy before its status is written. Must not throw. */
  readonly onFacts?: (entry: PolicyEntry, facts: PolicyFacts) => void;
  /** Time between a change and the update of the status, in milliseconds; further changes meanwhile add nothing; default 200. */
  readonly settleMs?: number;
  /**
   * Time between two statuses of a policy that selects at least 100 workloads, in milliseconds for each of them, at most 5 s; default 2. While a
   * thousand bundles are published, the status that counts them is not written for each.
   */
  readonly pausePerWorkloadMs?: number;
  /** Resolves when more urgent work of the process is done, or after a bounded time; absent: nothing is. */
  readonly giveWay?: (signal: AbortSignal) => Promise<void>;
  /** Aborts the status writes in progress, some time after the loop stopped taking new ones; absent: immediately. */
  readonly workSignal?: AbortSignal;
  readonly queueObserver?: QueueObserver;
  readonly workerObserver?: WorkerObserver;
}

/** Keeps the statuses of all policies up to date. */
export interface StatusLoop {
  readonly queue: WorkQueue;
  /** Queues every policy, for changes that the cluster state does not report. */
  readonly notifyAll: () => void;
  /** Writes statuses until `signal` aborts; resolves when the workers have finished. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** A loop; it does nothing before {@link StatusLoop.run}. */
export function createStatusLoop(options: StatusLoopOptions): StatusLoop {
  const { clusterState } = options;
  const queue = createWorkQueue({
    clock: options.clock,
    groupOf: (key) => parsePolicyKey(key).namespace,
    maxDelayMs: MAX_RETRY_DELAY_MS,
    ...(options.queueObserver === undefined ? {} : { observer: options.queueObserver }),
  });
  const { clock, settleMs = 200, pausePerWorkloadMs = 2 } = options;
  /** When the status of a policy that selects many workloads may be written again; no entry: at any time. */
  const notBefore = new Map<PolicyKey, number>();
  const enqueue = (key: PolicyKey): void => queue.addAfter(key, Math.max(settleMs, (notBefore.get(key) ?? 0) - clock.nowMs()));
  const notifyAll = (): void => {
    for (const entry of clusterState.policies.values()) enqueue(entry.key);
  };
  const handle = async (key: string, signal: AbortSignal): Promise<undefined> => {
    await options.giveWay?.(signal);
    const entry = clusterState.policies.get(key);
    // Only objects of a cluster have a status.
    if (entry?.uid === undefined) {
      notBefore.delete(key);
      return;
    }
    const facts = policyFacts(entry, options);
    const pauseMs = pauseAfter(facts, pausePerWorkloadMs);
    if (pauseMs === 0) notBefore.delete(key);
    else notBefore.set(key, clock.nowMs() + pauseMs);
    // The ledger queues the policy again once the last of its workloads is verified.
    if (facts === undefined) return;
    options.onFacts?.(entry, facts);
    const result = await options.write(entry, facts, signal);
    options.onWrite?.(result);
  };

  return {
    queue,
    notifyAll,
    run: async (signal) => {
      const stops = subscribeToChanges(options, { enqueue, notifyAll });
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

/** A policy that selects fewer workloads than this is as quick to look at as any other. */
const MANY_WORKLOADS = 100;
const MAX_PAUSE_MS = 5_000;

function pauseAfter(facts: PolicyFacts | undefined, perWorkloadMs: number): number {
  const selected = facts === undefined ? 0 : facts.published.length + facts.waiting.length + facts.refused.length;
  return selected < MANY_WORKLOADS ? 0 : Math.min(MAX_PAUSE_MS, selected * perWorkloadMs);
}

/** Calls `enqueue` for each policy that a change concerns. @returns the functions that unsubscribe */
function subscribeToChanges(
  options: StatusLoopOptions,
  { enqueue, notifyAll }: { readonly enqueue: (policy: PolicyKey) => void; readonly notifyAll: () => void },
): readonly (() => void)[] {
  const { clusterState, ledger, jwksCache, agents } = options;
  const enqueueAll = (policies: Iterable<PolicyKey>): void => {
    for (const key of policies) enqueue(key);
  };
  return [
    clusterState.policies.subscribe(({ key }) => enqueue(key)),
    clusterState.subscribe((_change, { policies }) => enqueueAll(policies)),
    clusterState.namespaces.subscribe(({ before, after }) => {
      if (before?.labels[INJECTION_LABEL] === after?.labels[INJECTION_LABEL]) return;
      enqueueAll(policiesReporting((after ?? before)?.name ?? '', options));
    }),
    ledger.subscribe((change) => enqueueAll(policiesOf(options, change))),
    ...(agents === undefined ? [] : followAgents({ ...options, agents }, { enqueueAll, notifyAll })),
    jwksCache.subscribe(({ owners }) => enqueueAll(owners)),
  ];
}

/** Queues the policies that select a pod whose agent said something new, or which came or went. */
function followAgents(
  { clusterState, agents, ledger }: StatusLoopOptions & { readonly agents: AgentReportsView },
  { enqueueAll, notifyAll }: { readonly enqueueAll: (policies: Iterable<PolicyKey>) => void; readonly notifyAll: () => void },
): readonly (() => void)[] {
  const enqueue = (workload: WorkloadKey): void => enqueueAll(clusterState.selection.policiesOf(workload).keys());
  const ofPod = (pod: SlimPod | undefined): void => {
    if (pod !== undefined && hasAgent(pod)) enqueue(workloadKey(workloadOf(pod)));
  };
  return [
    agents.subscribe((key) => (key === undefined ? notifyAll() : ofPod(clusterState.pods.get(key)))),
    clusterState.pods.subscribe(({ before, after }) => {
      if (before?.podIP === after?.podIP && before?.uid === after?.uid && before?.deletionTimestamp === after?.deletionTimestamp) return;
      ofPod(before);
      ofPod(after);
    }),
    // A bundle of which only the desired form changed is not another one to readers of the ledger, but it is to agents.
    ledger.subscribe(({ key, before, after }) => {
      if (before?.published?.revision !== after?.published?.revision) enqueue(key);
    }),
  ];
}

/** The policies whose status may name workloads without an agent of the namespace, together with its injection label. */
function policiesReporting(namespace: string, { clusterState, mesh }: FactSources): readonly PolicyKey[] {
  if (clusterState.selection.workloadsWithoutAgent(namespace).size === 0) return [];
  return [...new Set([namespace, mesh().rootNamespace])].flatMap((scope) =>
    clusterState.policies.byIndex('scope', scope).map(({ key }) => key),
  );
}

/** Do two records of a workload agree in what every policy that selects it reports? */
function isSameForAllPolicies(before: WorkloadRecord | undefined, after: WorkloadRecord | undefined): boolean {
  return (
    isUnverified(before) === isUnverified(after) &&
    (before?.published === undefined) === (after?.published === undefined) &&
    before?.published?.tampered === after?.published?.tampered &&
    before?.refusal?.message === after?.refusal?.message
  );
}

/** The policies that select the workload of a changed record, and whose facts about that workload differ now. */
function policiesOf(sources: FactSources, { key, before, after }: RecordChange): readonly PolicyKey[] {
  const selecting = [...sources.clusterState.selection.policiesOf(key).keys()];
  if (!isSameForAllPolicies(before, after)) return selecting;
  return selecting.filter(
    (policy) =>
      before?.policies.get(policy) !== after?.policies.get(policy) ||
      before?.desired?.uids?.get(policy) !== after?.desired?.uids?.get(policy) ||
      JSON.stringify(before?.desired?.findings.get(policy)) !== JSON.stringify(after?.desired?.findings.get(policy)),
  );
}
