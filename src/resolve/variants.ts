/*
 * Pods of one workload grouped by what policies can see of their labels. In: label sets and policies in scope. Out: the
 * relevant keys and one group per distinct restriction to them, with the policies that apply to it. Pure; called by compile.
 */
import type { Policy } from '../api/istio/resources.ts';
import { type Labels, relevantLabelKeys } from './policy-applies.ts';

/** Pods that all policies treat alike. */
export interface PodGroup {
  /** The relevant keys that these pods have, with their values. */
  readonly labels: Labels;
  /** The policies that apply, in the order given. */
  readonly policies: readonly Policy[];
}

export interface Grouping {
  readonly relevantLabels: readonly string[];
  /** Sorted by labels; at least one. */
  readonly groups: readonly PodGroup[];
}

/**
 * Groups label sets of the pods of one workload in `namespace`. Only keys of policies that select at least one of the sets
 * are relevant, so that a policy elsewhere never changes this workload's bundle.
 *
 * @param labelSets one per pod, repeats allowed; none: as for one pod without labels
 * @param policies in scope of `namespace`
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

/** The entries of `labels` whose key is among `keys`, in the order of `keys`. */
export function restrictLabels(labels: Labels, keys: readonly string[]): Labels {
  return Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(labels, key) ? [[key, labels[key] ?? '']] : [])));
}

function labelsKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels));
}
