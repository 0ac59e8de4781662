/*
 * What has to be compiled again. In: one change of the world and a view of it. Out: the workloads whose bundle may differ
 * now, and no others: work stays in proportion to what the change selects. Pure; called by the controller on every event.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';

import { isInScope, type Labels, matchesLabels, selectsPod } from './policy-applies.ts';

/** What happened. `before` absent: new; `after` absent: gone. */
export type Change =
  | { readonly kind: 'policy'; readonly before?: Policy; readonly after?: Policy }
  | { readonly kind: 'pod'; readonly before?: SlimPod; readonly after?: SlimPod }
  | { readonly kind: 'namespace'; readonly name: string }
  /** The keys of these policies changed. */
  | { readonly kind: 'keys'; readonly policies: readonly Policy[] }
  /** Mesh-wide settings changed. */
  | { readonly kind: 'mesh' };

/** The part of the world that {@link affectedWorkloads} asks for; only workloads that have an agent need be told. */
export interface WorkloadView {
  readonly rootNamespace: string;
  /** Workloads of one namespace, or of all when `namespace` is undefined. */
  readonly workloads: (namespace: string | undefined) => Iterable<WorkloadRef>;
  /** The labels of each of its pods. */
  readonly labelSetsOf: (workload: WorkloadRef) => Iterable<Labels>;
}

/** The workloads whose bundle may differ after `change`; each once, in no particular order. */
export function affectedWorkloads(change: Change, clusterState: WorkloadView): readonly WorkloadRef[] {
  switch (change.kind) {
    case 'policy':
      return selectedByAny([change.before, change.after], clusterState);
    case 'keys':
      return selectedByAny(change.policies, clusterState);
    case 'pod':
      return affectedByPod(change.before, change.after);
    case 'namespace':
      return [...clusterState.workloads(change.name)];
    case 'mesh':
      return [...clusterState.workloads(undefined)];
  }
}

/** The workloads with at least one pod that `policy` applies to. */
export function workloadsSelectedBy(policy: Policy, clusterState: WorkloadView): readonly WorkloadRef[] {
  const scope = policy.metadata.namespace === clusterState.rootNamespace ? undefined : policy.metadata.namespace;
  return [...clusterState.workloads(scope)].filter((workload) => isSelected(policy, workload, clusterState));
}

function selectedByAny(policies: readonly (Policy | undefined)[], clusterState: WorkloadView): readonly WorkloadRef[] {
  const found = new Map<string, WorkloadRef>();
  for (const policy of policies) {
    if (policy === undefined) continue;
    for (const workload of workloadsSelectedBy(policy, clusterState)) found.set(workloadKey(workload), workload);
  }
  return [...found.values()];
}

function isSelected(policy: Policy, workload: WorkloadRef, clusterState: WorkloadView): boolean {
  if (!isInScope(policy, workload.namespace, clusterState.rootNamespace)) return false;
  for (const labels of clusterState.labelSetsOf(workload)) {
    if (selectsPod(policy, workload.namespace, labels)) return true;
  }
  return false;
}

function affectedByPod(before: SlimPod | undefined, after: SlimPod | undefined): readonly WorkloadRef[] {
  if (before !== undefined && after !== undefined && isSameToPolicies(before, after)) return [];
  const found = new Map<string, WorkloadRef>();
  for (const pod of [before, after]) {
    if (pod === undefined || !hasAgent(pod)) continue;
    const workload = workloadOf(pod);
    found.set(workloadKey(workload), workload);
  }
  return [...found.values()];
}

function isSameToPolicies(one: SlimPod, other: SlimPod): boolean {
  return (
    hasAgent(one) === hasAgent(other) &&
    isFinished(one) === isFinished(other) &&
    workloadKey(workloadOf(one)) === workloadKey(workloadOf(other)) &&
    matchesLabels(one.labels, other.labels) &&
    matchesLabels(other.labels, one.labels)
  );
}
