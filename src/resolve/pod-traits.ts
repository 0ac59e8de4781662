/*
 * What distinguishes pods besides their labels: whether they have an agent, the ports that it serves, and why there can be
 * none. Counted per workload, because the pods of one workload are nearly always alike.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { AgentObstacle } from '../api/kube/pod-traits.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import { hasAgent } from '../api/kube/workload.ts';

/** The traits of one or more pods. */
export interface PodTraits {
  readonly hasAgent: boolean;
  /** Ports on which the agent evaluates requests; undefined: not known. */
  readonly ports: readonly number[] | undefined;
  /** Why the pod cannot have an agent; undefined: it can. */
  readonly obstacle: AgentObstacle | undefined;
  /** Why a container with the name of the agent guards nothing; undefined: the pod has no such container, or it guards the pod. */
  readonly fault: string | undefined;
  /** Ports that bypass the agent. */
  readonly excluded: readonly number[];
  /** Every port that `ports` does not name bypasses the agent. */
  readonly opensOthers: boolean;
  /** How containers of the pod could bypass its agent, one phrase each. */
  readonly privileges: readonly string[];
}

/** How many pods have each of the traits, by {@link traitsKey}. */
export type TraitCounts = Map<string, { readonly traits: PodTraits; pods: number }>;

/** Equal for pods with equal traits only. The ports of a pod without an agent do not count. */
export function traitsKey(pod: SlimPod): string {
  if (pod.agent === undefined) return `bare ${pod.obstacle ?? ''} ${pod.agentFault ?? ''}`;
  return `agent ${pod.ports?.join() ?? 'unknown'} ${pod.agent.excluded.join()} ${pod.agent.opensOthers} ${pod.privileges?.join() ?? ''}`;
}

/** Counts a pod of a workload that came (1) or went (-1). */
export function countTraits(
  counts: Map<WorkloadKey, TraitCounts>,
  { workload, pod, difference }: { readonly workload: WorkloadKey; readonly pod: SlimPod; readonly difference: 1 | -1 },
): void {
  const own: TraitCounts = counts.get(workload) ?? new Map();
  counts.set(workload, own);
  const key = traitsKey(pod);
  const entry = own.get(key) ?? { traits: traitsOf(pod), pods: 0 };
  own.set(key, entry);
  entry.pods += difference;
  if (entry.pods > 0) return;
  own.delete(key);
  if (own.size === 0) counts.delete(workload);
}

function traitsOf(pod: SlimPod): PodTraits {
  return {
    hasAgent: hasAgent(pod),
    ports: pod.ports,
    obstacle: pod.obstacle,
    fault: pod.agentFault,
    excluded: pod.agent?.excluded ?? [],
    opensOthers: pod.agent?.opensOthers ?? false,
    privileges: pod.privileges ?? [],
  };
}

/** The distinct traits in `counts`. */
export function traitsOfCounts(counts: TraitCounts | undefined): readonly PodTraits[] {
  return [...(counts?.values() ?? [])].map(({ traits }) => traits);
}

/** The traits as a string that is equal for equal traits in any order. */
export function describeTraits(traits: readonly PodTraits[]): string {
  return traits
    .map(({ hasAgent: isGuarded, ports, obstacle, fault, excluded, opensOthers, privileges }) =>
      [isGuarded, ports?.join() ?? 'unknown', obstacle, fault, excluded.join(), opensOthers, privileges.join()].join(' '),
    )
    .sort()
    .join(';');
}
