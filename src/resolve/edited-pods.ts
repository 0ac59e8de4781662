/*
 * Which pods an edit of a policy changes, and their policies before and after.
 */
import type { Policy } from '../api/istio/resources.ts';
import { parseWorkloadKey, policyKeyOf } from '../api/kube/keys.ts';
import { isInScope, selectsPod } from './policy-applies.ts';
import type { Selection } from './selection.ts';

/** The policies of one set of pods before and after an edit. Plain data. */
export interface EditedPod {
  /** `namespace/kind/name`. */
  readonly workload: string;
  readonly namespace: string;
  readonly before: readonly Policy[];
  readonly after: readonly Policy[];
}

/** The pods that an edit changes, one for each set of policies. */
export interface EditedPods {
  readonly pods: readonly EditedPod[];
  /** There are more sets of policies, or larger ones, than are looked at in one review. */
  readonly isCut: boolean;
}

const MAX_SETS = 20;
/** Memory of all their policies: they are copied into the thread of admission, whose heap is small, and from there into the worker that searches. */
const MAX_BYTES = 2 * 1024 * 1024;
/** Label sets that are looked at: a review must not hold up the controller. */
const MAX_LABEL_SETS = 500;

/** The pods to which the policy applies before or after the edit, one for each set of policies. @param policy after the edit */
export function editedPods(policy: Policy, selection: Selection, rootNamespace: string): EditedPods {
  const key = policyKeyOf(policy);
  const { namespace: own } = policy.metadata;
  const pods = new Map<string, EditedPod>();
  const counted = new Set<Policy>();
  let bytes = 0;
  let left = MAX_LABEL_SETS;
  for (const workload of selection.workloads(own === rootNamespace ? undefined : own)) {
    const { namespace } = parseWorkloadKey(workload);
    for (const labels of selection.labelSetsOf(workload)) {
      if (left-- === 0) return { pods: [...pods.values()], isCut: true };
      const all = selection.policiesFor(namespace, labels);
      const others = [...all].filter(([other]) => other !== key);
      const isSelected = isInScope(policy, namespace, rootNamespace) && selectsPod(policy, namespace, labels);
      if (!isSelected && !all.has(key)) continue;
      const set = JSON.stringify([namespace, isSelected, all.has(key), ...others.map(([other]) => other)]);
      const kept = others.map(([, other]) => other);
      if (pods.has(set)) continue;
      if (pods.size === MAX_SETS) return { pods: [...pods.values()], isCut: true };
      const pod = { workload, namespace, before: [...all.values()], after: isSelected ? [...kept, policy] : kept };
      for (const one of [...pod.before, ...pod.after]) {
        // A policy of several sets is copied once.
        if (counted.has(one)) continue;
        counted.add(one);
        bytes += roughBytes(one, MAX_BYTES - bytes);
        if (bytes > MAX_BYTES) return { pods: [...pods.values()], isCut: true };
      }
      pods.set(set, pod);
    }
  }
  return { pods: [...pods.values()], isCut: false };
}

/** What plain data takes of a heap, roughly. Counts no further than beyond `most`, so that a large policy takes no more time than a small one. */
function roughBytes(data: unknown, most: number): number {
  if (typeof data === 'string') return 16 + data.length;
  if (typeof data !== 'object' || data === null) return 8;
  let bytes = 16;
  for (const member of Array.isArray(data) ? data : Object.values(data)) {
    bytes += roughBytes(member, most - bytes);
    if (bytes > most) break;
  }
  return bytes;
}
