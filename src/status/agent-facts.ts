/*
 * What the agents of the selected workloads say about one version of a policy.
 */
import { objectKey, type WorkloadKey } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import type { AgentReportsView, AgentState } from './agent-reports.ts';
import type { AgentFacts } from './programmed-condition.ts';
import type { LedgerView, WorkloadRecord } from './workload-ledger.ts';

/** Where the facts are read from. */
export interface AgentFactSources {
  readonly pods: ClusterState['pods'];
  readonly ledger: LedgerView;
  readonly agents: AgentReportsView;
}

type Found = { readonly [K in keyof Omit<AgentFacts, 'programmed'>]: AgentFacts[K][number][] };

/** @param workloads selected by the policy; costs in proportion to their pods @returns `settling`: some agents may be on their way to this leader */
export function agentFacts(
  entry: PolicyEntry,
  workloads: readonly WorkloadKey[],
  { pods, ledger, agents }: AgentFactSources,
): AgentFacts | 'settling' {
  let programmed = 0;
  const found: Found = { missing: [], stale: [], refusing: [], silent: [], differing: [], doubled: [] };
  for (const workload of workloads) {
    const revision = revisionWith(entry, ledger.get(workload));
    for (const pod of pods.byIndex('agentWorkload', workload)) {
      const key = objectKey(pod.namespace, pod.name);
      const state = agents.get(key);
      // Nothing can reach a pod without an address. One that is being deleted counts for as long as its agent says something.
      if (pod.podIP === undefined || (pod.deletionTimestamp !== undefined && state === undefined)) continue;
      const place = placeOf(pod, state, revision);
      if (place === 'programmed') programmed += 1;
      else if (place === 'refusing') found.refusing.push({ pod: key, code: state?.refused ?? '' });
      else found[place].push(key);
      if (state?.second === 'agrees') found.doubled.push(key);
    }
  }
  if (found.missing.length > 0 && agents.isSettling()) return 'settling';
  for (const names of [found.missing, found.stale, found.silent, found.differing, found.doubled]) names.sort();
  found.refusing.sort((one, other) => (one.pod < other.pod ? -1 : 1));
  return { programmed, ...found };
}

/** Where a pod counts. @param revision the bundle to enforce; undefined: it is not published yet */
function placeOf(pod: SlimPod, state: AgentState | undefined, revision: string | undefined): Exclude<keyof AgentFacts, 'doubled'> {
  if (pod.agent?.hasFeed !== true) return 'silent';
  if (state === undefined || state.uid !== pod.uid) return 'missing';
  if (state.second === 'differs') return 'differing';
  if (revision === undefined) return 'stale';
  if (state.revision === revision) return state.second === 'silent' ? 'stale' : 'programmed';
  return state.refused === undefined ? 'stale' : 'refusing';
}

/** The published bundle if it was compiled from exactly this object and generation; undefined: it was not. */
function revisionWith(entry: PolicyEntry, record: WorkloadRecord | undefined): string | undefined {
  const { desired, published } = record ?? {};
  const isOfEntry = desired?.policies.get(entry.key) === entry.generation && desired.uids?.get(entry.key) === entry.uid;
  return isOfEntry && desired.revision === published?.revision ? desired.revision : undefined;
}
