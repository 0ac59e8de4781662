/*
 * What several conditions say about the workloads that a policy selects.
 */
import type { PolicyEntry } from '../state/cluster-state.ts';
import type { PolicyFacts } from './conditions.ts';

/** Selected workloads of which no connection, or not every pod, meets an agent. */
export function workloadsWithoutAgent(facts: PolicyFacts): readonly string[] {
  const { withoutAgent, altered, uncaptured, notInjectable, notEnabled } = facts;
  const changed = altered.map(({ workload }) => workload);
  return [...new Set([...withoutAgent, ...changed, ...uncaptured, ...notInjectable, ...notEnabled.flatMap(({ workloads }) => workloads)])];
}

/** Why a policy has no workload. */
export function selectsNothing(entry: PolicyEntry): string {
  const hasTargets = (entry.active?.spec.targetRefs ?? []).length > 0;
  return hasTargets ? 'Targets no gateway that has pods; targetRefs select no other workloads' : 'Selects no workload';
}
