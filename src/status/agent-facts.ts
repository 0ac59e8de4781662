/*
 * What the agents of the selected workloads say about one version of a policy.
 */
import { objectKey, type WorkloadKey } from '../api/kube/keys.ts';
import type { SlimPod } from '../api/kube/slim.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import type { AgentReportsView, AgentState } from './agent-reports.ts';
import type { AgentFacts } from './programmed-condition.ts';
import type { DesiredBundle, EarlierBundle, LedgerView, Revision, WorkloadRecord } from './workload-ledger.ts';

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
    const versions = versionsWith(entry, ledger.get(workload));
    for (const pod of pods.byIndex('agentWorkload', workload)) {
      const key = objectKey(pod.namespace, pod.name);
      const state = agents.get(key);
      // Nothing can reach a pod without an address. One that is being deleted counts for as long as its agent says something.
      if (pod.podIP === undefined || (pod.deletionTimestamp !== undefined && state === undefined)) continue;
      const place = placeOf(pod, state, versions);
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

/** The bundles of a workload that have exactly this object and generation of a policy. */
interface Versions {
  /** The newest one; undefined: it does not have it. */
  readonly newest: Revision | undefined;
  /** All of them, which agents may enforce while a change of another policy is on its way; none while the published one does not have it. */
  readonly all: ReadonlySet<Revision>;
}

/** Where a pod counts. */
function placeOf(pod: SlimPod, state: AgentState | undefined, { newest, all }: Versions): Exclude<keyof AgentFacts, 'doubled'> {
  if (pod.agent?.hasFeed !== true) return 'silent';
  if (state === undefined || state.uid !== pod.uid) return 'missing';
  if (state.second === 'differs') return 'differing';
  if (newest === undefined || all.size === 0) return 'stale';
  if (state.refused !== undefined && state.revision !== newest) return 'refusing';
  return all.has(state.revision) && state.second !== 'silent' ? 'programmed' : 'stale';
}

const NONE: Versions = { newest: undefined, all: new Set() };

function versionsWith(entry: PolicyEntry, { desired, earlier = [], published }: Partial<WorkloadRecord> = {}): Versions {
  const has = ({ policies, uids }: EarlierBundle | DesiredBundle): boolean =>
    policies.get(entry.key) === entry.generation && uids?.get(entry.key) === entry.uid;
  if (desired?.revision === undefined || !has(desired)) return NONE;
  const { basis } = desired;
  const isEnough = (one: EarlierBundle): boolean => basis !== undefined && one.basis === basis && has(one);
  const all = new Set(earlier.filter(isEnough).map(({ revision }) => revision)).add(desired.revision);
  // A pod that starts, or has no stream, reads what is published.
  return { newest: desired.revision, all: published?.revision !== undefined && all.has(published.revision) ? all : NONE.all };
}
