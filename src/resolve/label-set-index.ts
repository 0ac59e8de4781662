/*
 * The distinct label sets of each workload's pods, found by workload, by namespace and by label pair. Pods of one workload
 * that have the same labels are counted, not listed, so that a Deployment of many replicas is one entry.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type ObjectKey, objectKey, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import { countTraits, type PodTraits, type TraitCounts, traitsOfCounts } from './pod-traits.ts';
import type { Labels } from './policy-applies.ts';
import { labelPair, requiredPairs } from './policy-index.ts';

/** Pods of one workload with the same labels. Finished pods do not count. */
export interface LabelSet {
  readonly workload: WorkloadKey;
  readonly namespace: string;
  readonly labels: Labels;
  /** Pods with an agent. */
  readonly withAgent: number;
  /** Pods without an agent. */
  readonly withoutAgent: number;
}

/** Label sets of all pods; kept up to date pod by pod. */
export interface LabelSetIndex {
  /** Replaces what is known of the pod `before` by `after`; either may be absent. */
  readonly update: (before: SlimPod | undefined, after: SlimPod | undefined) => void;
  readonly ofWorkload: (workload: WorkloadKey) => Iterable<LabelSet>;
  /** Every label set of the workload that `policy` can select, and possibly others; the caller checks each. */
  readonly candidatesOf: (policy: Policy, workload: WorkloadKey) => Iterable<LabelSet>;
  /** Whether the workload has pods with an agent, and pods without. */
  readonly agentsOf: (workload: WorkloadKey) => { readonly withAgent: number; readonly withoutAgent: number };
  /** The distinct traits of the workload's pods. */
  readonly traitsOf: (workload: WorkloadKey) => readonly PodTraits[];
  /** Label sets of one namespace, or of all when `namespace` is undefined. */
  readonly ofNamespace: (namespace: string | undefined) => Iterable<LabelSet>;
  /**
   * Every label set in `namespace` (undefined: in any) that `policy` can select, and possibly others; the caller checks each.
   */
  readonly candidates: (policy: Policy, namespace: string | undefined) => Iterable<LabelSet>;
}

type Mutable = { -readonly [K in keyof LabelSet]: LabelSet[K] };

interface Posting {
  readonly byNamespace: Map<string, Set<Mutable>>;
  size: number;
}

interface AgentCounts {
  withAgent: number;
  withoutAgent: number;
}

interface KnownPod {
  readonly set: Mutable;
  readonly pod: SlimPod;
}

/** An empty index. An update costs in proportion to the number of the pod's labels. */
export function createLabelSetIndex(): LabelSetIndex {
  const pods = new Map<ObjectKey, KnownPod>();
  const byWorkload = new Map<WorkloadKey, Map<string, Mutable>>();
  const all: Posting = { byNamespace: new Map(), size: 0 };
  const byPair = new Map<string, Posting>();
  const traitsByWorkload = new Map<WorkloadKey, TraitCounts>();
  const agentsByWorkload = new Map<WorkloadKey, AgentCounts>();
  const count = ({ set, pod }: KnownPod, difference: 1 | -1): void => {
    countAgent(agentsByWorkload, { set, pod }, difference);
    countTraits(traitsByWorkload, { workload: set.workload, pod, difference });
  };

  const join = (pod: SlimPod): Mutable => {
    const workload = workloadKey(workloadOf(pod));
    const sets = byWorkload.get(workload) ?? new Map<string, Mutable>();
    byWorkload.set(workload, sets);
    const key = labelsKey(pod.labels);
    const known = sets.get(key);
    if (known !== undefined) return known;
    const set: Mutable = { workload, namespace: pod.namespace, labels: pod.labels, withAgent: 0, withoutAgent: 0 };
    sets.set(key, set);
    addPosting(all, set);
    addToPairs(byPair, set);
    return set;
  };
  const dropIfEmpty = (set: Mutable): void => {
    if (set.withAgent + set.withoutAgent > 0) return;
    const sets = byWorkload.get(set.workload);
    sets?.delete(labelsKey(set.labels));
    if (sets?.size === 0) byWorkload.delete(set.workload);
    removePosting(all, set);
    removeFromPairs(byPair, set);
  };
  const update = (key: ObjectKey, pod: SlimPod | undefined): void => {
    const old = pods.get(key);
    if (pod === undefined || isFinished(pod)) pods.delete(key);
    else {
      const fresh: KnownPod = { set: join(pod), pod };
      count(fresh, 1);
      pods.set(key, fresh);
    }
    // The old set goes last: entries that both sets share stay where they are.
    if (old === undefined) return;
    count(old, -1);
    dropIfEmpty(old.set);
  };

  return {
    update: (before, after) => {
      const pod = after ?? before;
      if (pod !== undefined) update(objectKey(pod.namespace, pod.name), after);
    },
    ofWorkload: (workload) => byWorkload.get(workload)?.values() ?? [],
    candidatesOf: (policy, workload) => candidatesIn(policy, { sets: byWorkload.get(workload), byPair }),
    agentsOf: (workload) => agentsByWorkload.get(workload) ?? NO_AGENTS,
    traitsOf: (workload) => traitsOfCounts(traitsByWorkload.get(workload)),
    ofNamespace: (namespace) => setsOf(all, namespace),
    candidates: (policy, namespace) => candidatesFor(policy, namespace, { all, byPair }),
  };
}

function countAgent(agentsByWorkload: Map<WorkloadKey, AgentCounts>, { set, pod }: KnownPod, difference: 1 | -1): void {
  const agents = agentsByWorkload.get(set.workload) ?? { withAgent: 0, withoutAgent: 0 };
  const member = hasAgent(pod) ? 'withAgent' : 'withoutAgent';
  set[member] += difference;
  agents[member] += difference;
  if (agents.withAgent + agents.withoutAgent === 0) agentsByWorkload.delete(set.workload);
  else agentsByWorkload.set(set.workload, agents);
}

function* candidatesFor(
  policy: Policy,
  namespace: string | undefined,
  { all, byPair }: { readonly all: Posting; readonly byPair: ReadonlyMap<string, Posting> },
): Iterable<LabelSet> {
  const required = requiredPairs(policy);
  if ('any' in required) {
    // It selects gateways of the own namespace only, also in the root namespace.
    for (const pair of new Set(required.any)) yield* setsOf(byPair.get(pair), policy.metadata.namespace);
    return;
  }
  let best: Posting | undefined = all;
  for (const pair of required.all) {
    const posting = byPair.get(pair);
    if (sizeIn(posting, namespace) < sizeIn(best, namespace)) best = posting;
  }
  yield* setsOf(best, namespace);
}

const NO_AGENTS = { withAgent: 0, withoutAgent: 0 };

/** The label sets of one workload, or those with the policy's rarest pair if these are fewer. */
function* candidatesIn(
  policy: Policy,
  { sets, byPair }: { readonly sets: ReadonlyMap<string, Mutable> | undefined; readonly byPair: ReadonlyMap<string, Posting> },
): Iterable<LabelSet> {
  const [first] = sets?.values() ?? [];
  if (sets === undefined || first === undefined) return;
  const required = requiredPairs(policy);
  let best: Posting | undefined;
  for (const pair of 'all' in required ? required.all : []) {
    const posting = byPair.get(pair);
    if (posting === undefined) return;
    if (sizeIn(posting, first.namespace) < (best === undefined ? sets.size : sizeIn(best, first.namespace))) best = posting;
  }
  if (best === undefined) yield* sets.values();
  else for (const set of setsOf(best, first.namespace)) if (set.workload === first.workload) yield set;
}

function* setsOf(posting: Posting | undefined, namespace: string | undefined): Iterable<LabelSet> {
  if (posting === undefined) return;
  if (namespace !== undefined) yield* posting.byNamespace.get(namespace) ?? [];
  else for (const sets of posting.byNamespace.values()) yield* sets;
}

function sizeIn(posting: Posting | undefined, namespace: string | undefined): number {
  return (namespace === undefined ? posting?.size : posting?.byNamespace.get(namespace)?.size) ?? 0;
}

function addPosting(posting: Posting, set: Mutable): void {
  addTo(posting.byNamespace, set.namespace, set);
  posting.size += 1;
}

function removePosting(posting: Posting, set: Mutable): void {
  removeFrom(posting.byNamespace, set.namespace, set);
  posting.size -= 1;
}

function addToPairs(byPair: Map<string, Posting>, set: Mutable): void {
  for (const pair of pairsOf(set.labels)) {
    const posting = byPair.get(pair) ?? { byNamespace: new Map(), size: 0 };
    byPair.set(pair, posting);
    addPosting(posting, set);
  }
}

function removeFromPairs(byPair: Map<string, Posting>, set: Mutable): void {
  for (const pair of pairsOf(set.labels)) {
    const posting = byPair.get(pair);
    if (posting === undefined) continue;
    removePosting(posting, set);
    if (posting.size === 0) byPair.delete(pair);
  }
}

function addTo(index: Map<string, Set<Mutable>>, key: string, set: Mutable): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, new Set([set]));
  else known.add(set);
}

function removeFrom(index: Map<string, Set<Mutable>>, key: string, set: Mutable): void {
  const known = index.get(key);
  known?.delete(set);
  if (known?.size === 0) index.delete(key);
}

function pairsOf(labels: Labels): readonly string[] {
  return Object.entries(labels).map(([key, value]) => labelPair(key, value));
}

/** Equal for equal labels in any order, and only for these: the lengths keep keys and values apart. */
function labelsKey(labels: Labels): string {
  let joined = '';
  for (const key of Object.keys(labels).sort()) {
    const value = labels[key] ?? '';
    joined += `${key.length}:${key}${value.length}:${value}`;
  }
  return joined;
}
