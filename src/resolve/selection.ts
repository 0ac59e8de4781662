/*
 * Which policy selects which workload, kept up to date change by change. Everything that needs this relation asks here:
 * reconcile, status, metrics and the command line. Neither a change nor a query scans the policies or pods of the cluster.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type PolicyKey, policyKeyOf, type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import { createLabelSetIndex, type LabelSet, type LabelSetIndex } from './label-set-index.ts';
import { describeTraits, type PodTraits, traitsKey } from './pod-traits.ts';
import { type Labels, selectsPod } from './policy-applies.ts';
import { createPolicyIndex, type PolicyIndex } from './policy-index.ts';

/** One change of the cluster state. `before` absent: the object is new; `after` absent: it was deleted. */
export type Change =
  | { readonly kind: 'policy'; readonly before?: Policy; readonly after?: Policy }
  | { readonly kind: 'pod'; readonly before?: SlimPod; readonly after?: SlimPod }
  /** The namespace began or ceased to terminate. */
  | { readonly kind: 'namespace'; readonly name: string }
  /** The keys that these policies use changed. */
  | { readonly kind: 'keys'; readonly policies: readonly PolicyKey[] }
  /** Mesh-wide settings changed. */
  | { readonly kind: 'mesh' };

/** What a change affects. */
export interface Affected {
  /** Workloads with an agent whose bundle may differ now. */
  readonly workloads: ReadonlySet<WorkloadKey>;
  /** Policies that changed themselves, or that select other workloads than before, with or without an agent. */
  readonly policies: ReadonlySet<PolicyKey>;
}

/**
 * Policies and the workloads they select. A policy selects a workload when it applies to at least one of its pods that is not
 * finished. Workloads are those with an agent, unless stated otherwise.
 */
export interface Selection {
  /** Records a change and returns what it affects. Applying it again changes nothing more. */
  readonly apply: (change: Change) => Affected;
  /** The policies that select the workload through a pod with an agent. */
  readonly policiesOf: (workload: WorkloadKey) => ReadonlyMap<PolicyKey, Policy>;
  /** The policies that apply to a pod of `namespace` with these labels, whether or not there is one. */
  readonly policiesFor: (namespace: string, labels: Labels) => ReadonlyMap<PolicyKey, Policy>;
  /** The workloads that the policy selects through a pod with an agent; empty for an unknown policy. */
  readonly workloadsOf: (policy: PolicyKey) => ReadonlySet<WorkloadKey>;
  /** The workloads that the policy selects through a pod without an agent, where nothing enforces it. */
  readonly workloadsWithoutAgentOf: (policy: PolicyKey) => ReadonlySet<WorkloadKey>;
  /** Every workload with an agent, of one namespace or of all. */
  readonly workloads: (namespace?: string) => ReadonlySet<WorkloadKey>;
  /** Whether the namespace has a workload with an agent; does not visit all of its pods. */
  readonly hasWorkloads: (namespace: string) => boolean;
  /** Every workload with a pod that has no agent, of one namespace or of all. */
  readonly workloadsWithoutAgent: (namespace?: string) => ReadonlySet<WorkloadKey>;
  /** The distinct traits of the workload's pods. */
  readonly traitsOf: (workload: WorkloadKey) => readonly PodTraits[];
  /**
   * The ports on which agents of the selected workloads evaluate requests, also for a policy that was never applied.
   * Undefined: it selects none, or one of them does not say.
   */
  readonly portsFor: (policy: Policy) => ReadonlySet<number> | undefined;
  /** The distinct label sets of the workload's pods with an agent. */
  readonly labelSetsOf: (workload: WorkloadKey) => readonly Labels[];
  /**
   * The same label sets with only the keys that a selector of their namespace or the root namespace names, each once: the policies of a
   * pod depend on nothing else. Pods of a StatefulSet have a label each.
   */
  readonly selectableSetsOf: (workload: WorkloadKey) => readonly Labels[];
}

const NO_POLICIES: ReadonlySet<PolicyKey> = new Set();
const NO_WORKLOADS: ReadonlySet<WorkloadKey> = new Set();

interface Parts {
  readonly policies: PolicyIndex;
  readonly labelSets: LabelSetIndex;
  readonly rootNamespace: () => string;
  /** Policies of workloads that were asked for since the last change of a policy. */
  readonly known: { root: string; policies: Map<WorkloadKey, ReadonlyMap<PolicyKey, Policy>> };
}

/**
 * A selection without policies and pods.
 *
 * @param rootNamespace called at each query, so that a reloaded configuration counts immediately
 */
export function createSelection(rootNamespace: () => string): Selection {
  const known = { root: '', policies: new Map() };
  const parts: Parts = { policies: createPolicyIndex(), labelSets: createLabelSetIndex(), rootNamespace, known };
  const { policies, labelSets } = parts;
  const selectedBy = (key: PolicyKey, counts: (set: LabelSet) => boolean): ReadonlySet<WorkloadKey> => {
    const policy = policies.get(key);
    return policy === undefined ? new Set() : workloadsOfSets(selectedSets(parts, policy), counts);
  };
  return {
    apply: (change) => apply(parts, change),
    policiesOf: (workload) => knownPoliciesOf(parts, workload),
    policiesFor: (namespace, labels) => policiesFor(parts, namespace, labels),
    workloadsOf: (policy) => selectedBy(policy, isWithAgent),
    workloadsWithoutAgentOf: (policy) => selectedBy(policy, isWithoutAgent),
    workloads: (namespace) => workloadsOfSets(labelSets.ofNamespace(namespace), isWithAgent),
    hasWorkloads: (namespace) => {
      for (const set of labelSets.ofNamespace(namespace)) if (isWithAgent(set)) return true;
      return false;
    },
    workloadsWithoutAgent: (namespace) => workloadsOfSets(labelSets.ofNamespace(namespace), isWithoutAgent),
    traitsOf: labelSets.traitsOf,
    portsFor: (policy) => portsFor(parts, policy),
    labelSetsOf: (workload) => [...labelSets.ofWorkload(workload)].filter(isWithAgent).map(({ labels }) => labels),
    selectableSetsOf: (workload) => selectableSetsOf(parts, workload).map(({ labels }) => labels),
  };
}

function apply(parts: Parts, change: Change): Affected {
  const { policies, labelSets } = parts;
  switch (change.kind) {
    case 'policy':
      parts.known.policies = new Map();
      if (change.before !== undefined) policies.delete(policyKeyOf(change.before));
      if (change.after !== undefined) policies.set(policyKeyOf(change.after), change.after);
      return {
        workloads: selectedByAny(parts, [change.before, change.after]),
        policies: new Set([change.before, change.after].flatMap((policy) => (policy === undefined ? [] : [policyKeyOf(policy)]))),
      };
    case 'keys':
      return { workloads: selectedByAny(parts, change.policies.map(policies.get)), policies: new Set(change.policies) };
    case 'pod':
      return applyPod(parts, change.before, change.after);
    case 'namespace':
      return { workloads: workloadsOfSets(labelSets.ofNamespace(change.name), isWithAgent), policies: NO_POLICIES };
    case 'mesh':
      return { workloads: workloadsOfSets(labelSets.ofNamespace(undefined), isWithAgent), policies: new Set(policies.keys()) };
  }
}

function applyPod(parts: Parts, before: SlimPod | undefined, after: SlimPod | undefined): Affected {
  if (before !== undefined && after !== undefined && isSameBesidesLabels(before, after)) {
    const relabelled = relabelledKeys(before.labels, after.labels);
    if (!relabelled.some((key) => isNamed(parts, after.namespace, key))) {
      // A policy that comes later may name these labels.
      if (relabelled.length > 0) parts.labelSets.update(before, after);
      return { workloads: NO_WORKLOADS, policies: NO_POLICIES };
    }
  }
  const pods = [before, after].filter((pod) => pod !== undefined);
  const workloads = new Set(pods.map((pod) => workloadKey(workloadOf(pod))));
  const policies = new Map(pods.flatMap((pod) => [...policiesFor(parts, pod.namespace, pod.labels)]));
  const selectedWorkloads = (): readonly string[] => {
    const traits = [...workloads].map((workload) => describeTraits(parts.labelSets.traitsOf(workload))).join(' ');
    return [...policies.values()].map((policy) => {
      const selected = describeSelected(parts, policy, workloads);
      return selected.includes('true') ? `${selected}${traits}` : selected;
    });
  };
  for (const workload of workloads) parts.known.policies.delete(workload);
  const old = selectedWorkloads();
  parts.labelSets.update(before, after);
  const fresh = selectedWorkloads();
  return {
    workloads: new Set(pods.filter(hasAgent).map((pod) => workloadKey(workloadOf(pod)))),
    policies: new Set([...policies.keys()].filter((_key, at) => old[at] !== fresh[at])),
  };
}

/** Which of `workloads` the policy selects through a pod with an agent, and which through one without; as a string to compare. */
function describeSelected({ labelSets }: Parts, policy: Policy, workloads: ReadonlySet<WorkloadKey>): string {
  let described = '';
  for (const workload of workloads) {
    let [withAgent, withoutAgent] = [false, false];
    const agents = labelSets.agentsOf(workload);
    for (const set of labelSets.candidatesOf(policy, workload)) {
      // A workload whose pods all have an agent is not searched for one that has none.
      if ((withAgent || agents.withAgent === 0) && (withoutAgent || agents.withoutAgent === 0)) break;
      if ((withAgent || !isWithAgent(set)) && (withoutAgent || !isWithoutAgent(set))) continue;
      if (!selectsPod(policy, set.namespace, set.labels)) continue;
      withAgent ||= isWithAgent(set);
      withoutAgent ||= isWithoutAgent(set);
    }
    described += `${withAgent} ${withoutAgent} `;
  }
  return described;
}

/** After a change of a root policy, a thousand workloads are asked about several times each. */
function knownPoliciesOf(parts: Parts, workload: WorkloadKey): ReadonlyMap<PolicyKey, Policy> {
  const { known } = parts;
  const root = parts.rootNamespace();
  if (known.root !== root) Object.assign(known, { root, policies: new Map() });
  const policies = known.policies.get(workload) ?? policiesOf(parts, workload);
  // A workload without pods may never be asked about again.
  if (policies.size > 0) known.policies.set(workload, policies);
  return policies;
}

function policiesOf(parts: Parts, workload: WorkloadKey): ReadonlyMap<PolicyKey, Policy> {
  const found = new Map<PolicyKey, Policy>();
  for (const { namespace, labels } of selectableSetsOf(parts, workload)) {
    for (const [key, policy] of policiesFor(parts, namespace, labels)) found.set(key, policy);
  }
  return found;
}

function selectableSetsOf(
  { labelSets, policies, rootNamespace }: Parts,
  workload: WorkloadKey,
): readonly { readonly namespace: string; readonly labels: Labels }[] {
  const sets = [...labelSets.ofWorkload(workload)].filter(isWithAgent);
  const [{ namespace } = { namespace: '' }] = sets;
  const isNamedHere = (key: string): boolean => policies.hasLabelKey(rootNamespace(), key) || policies.hasLabelKey(namespace, key);
  const selectable = sets.map(({ labels }) => Object.entries(labels).filter(([key]) => isNamedHere(key)));
  const distinct =
    selectable.length < 2
      ? selectable
      : new Map(selectable.map((pairs) => [JSON.stringify(pairs.sort(([one], [other]) => (one < other ? -1 : 1))), pairs])).values();
  return [...distinct].map((pairs) => ({ namespace, labels: Object.fromEntries(pairs) }));
}

function policiesFor({ policies, rootNamespace }: Parts, namespace: string, labels: Labels): ReadonlyMap<PolicyKey, Policy> {
  const found = new Map<PolicyKey, Policy>();
  for (const scope of new Set([rootNamespace(), namespace])) {
    for (const [key, policy] of policies.candidates(scope, labels)) {
      if (selectsPod(policy, namespace, labels)) found.set(key, policy);
    }
  }
  return found;
}

function* selectedSets({ labelSets, rootNamespace }: Parts, policy: Policy): Iterable<LabelSet> {
  const scope = policy.metadata.namespace === rootNamespace() ? undefined : policy.metadata.namespace;
  for (const set of labelSets.candidates(policy, scope)) {
    if (selectsPod(policy, set.namespace, set.labels)) yield set;
  }
}

function selectedByAny(parts: Parts, policies: readonly (Policy | undefined)[]): ReadonlySet<WorkloadKey> {
  const found = new Set<WorkloadKey>();
  for (const policy of policies) {
    if (policy === undefined) continue;
    for (const set of selectedSets(parts, policy)) if (isWithAgent(set)) found.add(set.workload);
  }
  return found;
}

function portsFor(parts: Parts, policy: Policy): ReadonlySet<number> | undefined {
  const ports = new Set<number>();
  for (const workload of selectedByAny(parts, [policy])) {
    for (const traits of parts.labelSets.traitsOf(workload)) {
      if (!traits.hasAgent) continue;
      if (traits.ports === undefined) return undefined;
      for (const port of traits.ports) ports.add(port);
    }
  }
  return ports.size === 0 ? undefined : ports;
}

function workloadsOfSets(sets: Iterable<LabelSet>, counts: (set: LabelSet) => boolean): ReadonlySet<WorkloadKey> {
  const found = new Set<WorkloadKey>();
  for (const set of sets) if (counts(set)) found.add(set.workload);
  return found;
}

function isWithAgent({ withAgent }: LabelSet): boolean {
  return withAgent > 0;
}

function isWithoutAgent({ withoutAgent }: LabelSet): boolean {
  return withoutAgent > 0;
}

function isSameBesidesLabels(one: SlimPod, other: SlimPod): boolean {
  return (
    traitsKey(one) === traitsKey(other) &&
    isFinished(one) === isFinished(other) &&
    workloadKey(workloadOf(one)) === workloadKey(workloadOf(other))
  );
}

/** The label keys that were added, removed or got another value. */
function relabelledKeys(before: Labels, after: Labels): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => before[key] !== after[key]);
}

/** Whether a selector that can apply to pods of `namespace` names the label key. */
function isNamed({ policies, rootNamespace }: Parts, namespace: string, key: string): boolean {
  return policies.hasLabelKey(namespace, key) || policies.hasLabelKey(rootNamespace(), key);
}
