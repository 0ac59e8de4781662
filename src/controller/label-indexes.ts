/*
 * Publishes the index of each namespace with agents: the selectors of all policies that can apply there. Selectors that no policy has any more
 * leave the index before the bundles, others join it after them. So at any time an agent finds each selector of the index that matches its pod
 * in its bundle, unless the labels of the pod are new to the controller.
 */
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, parseWorkloadKey } from '../api/kube/keys.ts';
import type { LabelIndex } from '../bundle/label-index.ts';
import { MAX_INDEX_BYTES } from '../bundle/label-index.ts';
import type { Clock } from '../clock.ts';
import type { LabelIndexStore } from '../delivery/label-index-store.ts';
import { RefusedError } from '../errors.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import type { Change } from '../resolve/selection.ts';
import { distinctSelectors, selectorKey } from '../resolve/selectors.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { LedgerView } from '../status/workload-ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createWorkQueue, type WorkQueue } from '../workqueue/queue.ts';
import { type HandleResult, MAX_RETRY_DELAY_MS, runWorkers } from '../workqueue/workers.ts';
import { untilRead } from './until-read.ts';

/** Parts that publish indexes. */
export interface LabelIndexesOptions {
  readonly store: LabelIndexStore;
  readonly clusterState: ClusterState;
  readonly ledger: LedgerView;
  readonly rootNamespace: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The indexes of all namespaces. */
export interface LabelIndexes {
  /** To be called before a bundle of `namespace` is published. @throws TransientError */
  readonly beforePublish: (namespace: string, signal: AbortSignal) => Promise<void>;
  /** Publishes until `signal` aborts. @param isQueued whether the bundle of a workload is about to be published */
  readonly run: (isQueued: (workload: string) => boolean, signal: AbortSignal) => Promise<void>;
}

type Selectors = ReadonlyMap<string, Labels>;

interface Parts extends LabelIndexesOptions {
  readonly queue: WorkQueue;
  /** What is published, by namespace. */
  readonly published: Map<string, Selectors>;
  /** Namespaces in which policies ceased to have a selector since their index was written. */
  readonly shrinking: Set<string>;
  /** Namespaces whose index another client changed since it was written. */
  readonly changed: Set<string>;
  /** Since when selectors wait for bundles, by namespace. */
  readonly waitingSince: Map<string, number>;
}

const POLL_MS = 200;
/** A bundle that cannot be published must not keep selectors from the other workloads: its agents respond with 503 then. */
const LONGEST_WAIT_MS = 10_000;
const NONE: Selectors = new Map();

/** Indexes; nothing is published before {@link LabelIndexes.run}. */
export function createLabelIndexes(options: LabelIndexesOptions): LabelIndexes {
  const queue = createWorkQueue({ clock: options.clock, groupOf: (namespace) => namespace, maxDelayMs: MAX_RETRY_DELAY_MS });
  const parts: Parts = { ...options, queue, published: new Map(), shrinking: new Set(), changed: new Set(), waitingSince: new Map() };
  return {
    beforePublish: async (namespace, signal) => {
      if (!parts.shrinking.has(namespace)) return;
      try {
        await shrink(parts, { namespace, wanted: selectorsFor(parts, namespace) }, signal);
      } catch (error) {
        // The bundle is what matters: without it, a policy would not be enforced.
        if (!(error instanceof RefusedError)) throw error;
        options.logger.warn({ namespace, code: error.code, err: error }, 'index of the namespace not published');
      }
    },
    run: async (isQueued, signal) => {
      const indexes = await untilRead(() => options.store.read(signal), { what: 'indexes of namespaces', ...options }, signal);
      for (const [namespace, { selectors }] of indexes ?? []) parts.published.set(namespace, byKey(selectors));
      const unsubscribes = [
        options.clusterState.subscribe((change) => onChange(parts, change)),
        options.store.subscribe((namespace) => {
          parts.changed.add(namespace);
          queue.add(namespace);
        }),
      ];
      for (const namespace of new Set([...agentNamespaces(parts), ...parts.published.keys()])) queue.add(namespace, 'low');
      const handle = (namespace: string, workSignal: AbortSignal): Promise<HandleResult | undefined> =>
        publish(parts, { namespace, isQueued }, workSignal);
      await runWorkers({ queue, handle, logger: options.logger, concurrency: 2 }, signal);
      for (const unsubscribe of unsubscribes) unsubscribe();
      queue.close();
    },
  };
}

function onChange(parts: Parts, change: Change): void {
  const { queue, published, shrinking } = parts;
  if (change.kind === 'pod') {
    const namespace = (change.after ?? change.before)?.namespace;
    if (namespace !== undefined && published.has(namespace) !== hasAgents(parts, namespace)) queue.add(namespace);
  }
  if (change.kind !== 'policy') return;
  const [before, after] = [change.before, change.after].map((policy) => distinctSelectors(policy === undefined ? [] : [policy]));
  if ([...(before ?? NONE).keys()].join() === [...(after ?? NONE).keys()].join()) return;
  for (const namespace of namespacesOf(parts, change.after ?? change.before)) {
    if (hasOther(before, after)) shrinking.add(namespace);
    queue.add(namespace);
  }
}

/** The namespaces with agents to whose pods the policy can apply. */
function namespacesOf(parts: Parts, policy: Policy | undefined): Iterable<string> {
  if (policy === undefined) return [];
  const { namespace } = policy.metadata;
  return namespace === parts.rootNamespace() ? agentNamespaces(parts) : hasAgents(parts, namespace) ? [namespace] : [];
}

async function publish(
  parts: Parts,
  { namespace, isQueued }: { readonly namespace: string; readonly isQueued: (workload: string) => boolean },
  signal: AbortSignal,
): Promise<HandleResult | undefined> {
  const { published, waitingSince, shrinking, changed, store, clock } = parts;
  // Kubernetes deletes what is in it.
  if (isTerminating(parts.clusterState, namespace)) return undefined;
  if (!hasAgents(parts, namespace)) {
    await store.remove(namespace, signal);
    changed.delete(namespace);
    for (const map of [published, waitingSince]) map.delete(namespace);
    shrinking.delete(namespace);
    return undefined;
  }
  const known = published.get(namespace);
  const wanted = selectorsFor(parts, namespace);
  if (changed.has(namespace) && known !== undefined) await write(parts, { namespace, selectors: known }, signal);
  if (known !== undefined && !hasOther(known, wanted) && !hasOther(wanted, known)) {
    waitingSince.delete(namespace);
    return undefined;
  }
  const since = waitingSince.get(namespace) ?? clock.nowMs();
  waitingSince.set(namespace, since);
  if (hasOther(wanted, known) && clock.nowMs() - since < LONGEST_WAIT_MS && !isPublished(parts, namespace, isQueued)) {
    await shrink(parts, { namespace, wanted }, signal);
    return { requeueAfterMs: POLL_MS };
  }
  waitingSince.delete(namespace);
  await write(parts, { namespace, selectors: wanted }, signal);
  return undefined;
}

/** Takes selectors that no policy has any more out of the published index. */
async function shrink(
  parts: Parts,
  { namespace, wanted }: { readonly namespace: string; readonly wanted: Selectors },
  signal: AbortSignal,
): Promise<void> {
  const known = parts.published.get(namespace);
  if (known !== undefined && hasOther(known, wanted)) {
    await write(parts, { namespace, selectors: new Map([...known].filter(([key]) => wanted.has(key))) }, signal);
  }
  parts.shrinking.delete(namespace);
}

async function write(
  { store, published, changed }: Parts,
  { namespace, selectors }: { readonly namespace: string; readonly selectors: Selectors },
  signal: AbortSignal,
): Promise<void> {
  const index: LabelIndex = {
    namespace,
    selectors: [...selectors].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, selector]) => selector),
  };
  await store.write(index, signal);
  changed.delete(namespace);
  published.set(namespace, selectors);
}

/** The selectors of the policies that can apply in `namespace`; those of the root namespace first, as far as they fit. */
function selectorsFor({ clusterState, rootNamespace }: Parts, namespace: string): Selectors {
  const policies = clusterState.policiesInScope(namespace);
  const isRoot = (policy: Policy): boolean => policy.metadata.namespace === rootNamespace();
  const kept = new Map<string, Labels>();
  for (const group of [policies.filter(isRoot), policies.filter((policy) => !isRoot(policy))]) {
    let bytes = 0;
    for (const [key, selector] of [...distinctSelectors(group)].sort(([one], [other]) => (one < other ? -1 : 1))) {
      bytes += Buffer.byteLength(key) + 1;
      if (bytes < MAX_INDEX_BYTES / 2 - 1024) kept.set(key, selector);
    }
  }
  return kept;
}

/** Whether every bundle of the namespace is published as it should be. */
function isPublished({ clusterState, ledger }: Parts, namespace: string, isQueued: (workload: string) => boolean): boolean {
  for (const workload of clusterState.selection.workloads(namespace)) {
    const record = ledger.get(workload);
    if (isQueued(workload) || record?.desired?.revision === undefined || record.desired.revision !== record.published?.revision)
      return false;
  }
  return true;
}

function isTerminating({ namespaces }: ClusterState, namespace: string): boolean {
  return namespaces.get(objectKey('', namespace))?.terminating === true;
}

function hasAgents({ clusterState }: Parts, namespace: string): boolean {
  return clusterState.selection.hasWorkloads(namespace);
}

function agentNamespaces({ clusterState }: Parts): ReadonlySet<string> {
  return new Set([...clusterState.selection.workloads()].map((workload) => parseWorkloadKey(workload).namespace));
}

/** Whether `one` has a selector that `other` lacks. */
function hasOther(one: Selectors = NONE, other: Selectors = NONE): boolean {
  for (const key of one.keys()) if (!other.has(key)) return true;
  return false;
}

function byKey(selectors: readonly Labels[]): Selectors {
  return new Map(selectors.map((selector) => [selectorKey(selector), selector]));
}
