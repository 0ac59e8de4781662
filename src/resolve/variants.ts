/*
 * Groups the pods of one workload by the labels that its policies look at: one group for each program of its bundle.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type Labels, relevantLabelKeys } from './policy-applies.ts';

/** Pods to which the same policies apply. */
export interface PodGroup {
  /** The relevant label keys that these pods have, with their values. */
  readonly labels: Labels;
  /** The policies that apply, in the order in which `policiesFor` returned them. */
  readonly policies: readonly Policy[];
}

/** The pods of one workload, grouped. */
export interface Grouping {
  /** Label keys that a policy of the workload looks at; sorted. */
  readonly relevantLabels: readonly string[];
  /** Sorted by their labels; never empty. */
  readonly groups: readonly PodGroup[];
}

/**
 * Groups the label sets of the pods of one workload. Only label keys of policies that apply to at least one of the sets are relevant,
 * so a policy for other workloads never changes this workload's bundle.
 *
 * @param labelSets of the pods, in any order, duplicates allowed; empty: as for one pod without labels
 * @param policiesFor the policies that apply to a pod with these labels
 */
export function groupByRelevantLabels(labelSets: readonly Labels[], policiesFor: (labels: Labels) => readonly Policy[]): Grouping {
  const sets = (labelSets.length === 0 ? [{}] : labelSets).map((labels) => ({ labels, policies: policiesFor(labels) }));
  const relevantLabels = relevantLabelKeys(new Set(sets.flatMap(({ policies }) => policies)));
  const groupByKey = new Map<string, PodGroup>();
  for (const { labels, policies } of sets) {
    const restricted = restrictLabels(labels, relevantLabels);
    const key = labelsKey(restricted);
    // Label sets that agree on every key that a selecting policy looks at have the same policies.
    if (!groupByKey.has(key)) groupByKey.set(key, { labels: restricted, policies });
  }
  const keys = [...groupByKey.keys()].sort();
  return { relevantLabels, groups: keys.flatMap((key) => groupByKey.get(key) ?? []) };
}

/** The entries of `labels` whose key is in `keys`, in the order of `keys`. */
export function restrictLabels(labels: Labels, keys: readonly string[]): Labels {
  return Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(labels, key) ? [[key, labels[key] ?? '']] : [])));
}

function labelsKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels));
}
