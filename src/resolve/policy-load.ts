/*
 * How much the policies of one namespace can add up to on any one pod. An upper bound that needs no pods: a pod has one value for each
 * label, so that of the policies that require different values of a label only one group counts.
 */
import type { Policy } from '../api/istio/resources.ts';
import { selectorsOf } from './selectors.ts';

/** What a policy, or a set of policies, takes of a bundle. */
export interface PolicySize {
  /** Canonical JSON in bytes. */
  readonly bytes: number;
  /** The same, compressed. */
  readonly packedBytes: number;
  readonly rules: number;
  /** Values that an agent keeps in an index. */
  readonly values: number;
}

/** What policies may take, and how to measure one. */
export interface PolicyBudgets {
  readonly sizeOf: (policy: Policy) => PolicySize;
  /** What one policy may take. */
  readonly limit: PolicySize;
  /** What the policies of one namespace may take on any one pod. */
  readonly shareOf: (namespace: string) => PolicySize;
  /** What the replacements of policies over their budget may take besides. */
  readonly replacements: PolicySize;
}

/** The members of a {@link PolicySize}. */
export const SIZE_MEMBERS: readonly (keyof PolicySize)[] = ['bytes', 'packedBytes', 'rules', 'values'];
/** Takes nothing. */
export const NO_SIZE: PolicySize = { bytes: 0, packedBytes: 0, rules: 0, values: 0 };

/** The members of which `size` has more than `limit`. */
export function exceeded(size: PolicySize, limit: PolicySize): readonly (keyof PolicySize)[] {
  return SIZE_MEMBERS.filter((member) => size[member] > limit[member]);
}

/** Whether a policy of this size fits whatever selects what. @param total of all policies of its namespace, this one included */
export function isWithinBudget(
  { namespace, size, total }: { readonly namespace: string; readonly size: PolicySize; readonly total: PolicySize },
  budgets: PolicyBudgets,
): boolean {
  return exceeded(total, budgets.shareOf(namespace)).length === 0 && exceeded(size, budgets.limit).length === 0;
}

/** Both together. */
export function sumOf(one: PolicySize, other: PolicySize): PolicySize {
  return combine(one, other, (left, right) => left + right);
}

/** `one` without `other`, which is part of it. */
export function differenceOf(one: PolicySize, other: PolicySize): PolicySize {
  return combine(one, other, (left, right) => left - right);
}

type Pair = readonly [label: string, value: string];

/** A version of a policy, as it is added up. Made once for each version: thousands are added up after each change. */
export interface PolicyPart {
  /** The pairs of each of its selectors, in the order of their labels. */
  readonly selectors: readonly (readonly Pair[])[];
  readonly size: PolicySize;
}

/** What is added up of a policy of this size. */
export function policyPart(policy: Policy, size: PolicySize): PolicyPart {
  const sorted = (labels: Readonly<Record<string, string>>): readonly Pair[] =>
    Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  return { selectors: selectorsOf(policy).map(sorted), size };
}

/** The values of labels in the selectors of the policies of a namespace: of its labels, a policy is compared by the one with most values. */
export interface LabelValues {
  readonly add: (part: PolicyPart) => void;
  readonly remove: (part: PolicyPart) => void;
  readonly countOf: (label: string) => number;
}

/** No values. */
export function createLabelValues(): LabelValues {
  const uses = new Map<string, Map<string, number>>();
  const change = ({ selectors }: PolicyPart, by: 1 | -1): void => {
    for (const [label, value] of selectors.flat()) {
      const values = uses.get(label) ?? new Map<string, number>();
      const count = (values.get(value) ?? 0) + by;
      if (count === 0) values.delete(value);
      else values.set(value, count);
      if (values.size === 0) uses.delete(label);
      else uses.set(label, values);
    }
  };
  return { add: (part) => change(part, 1), remove: (part) => change(part, -1), countOf: (label) => uses.get(label)?.size ?? 0 };
}

/** Adds up policies; see {@link createPolicyLoad}. */
export interface PolicyLoad {
  /** What the policies take on the pod that most of them select, if `part` is added. */
  readonly with: (part: PolicyPart) => PolicySize;
  readonly add: (part: PolicyPart) => void;
}

/** What the policies that require a value of one label take. */
interface LabelSizes {
  readonly byValue: Map<string, PolicySize>;
  /** The largest size of any value, in each member. */
  largest: PolicySize;
}

/** @param labels of all policies that may be added; it must not change meanwhile */
export function createPolicyLoad(labels: LabelValues): PolicyLoad {
  const byLabel = new Map<string, LabelSizes>();
  /** What the policies take on the pod that most of them select. */
  let total = NO_SIZE;

  const largestWith = ([label, value]: Pair, size: PolicySize): PolicySize => {
    const known = byLabel.get(label);
    return known === undefined ? size : largerOf(known.largest, sumOf(known.byValue.get(value) ?? NO_SIZE, size));
  };
  const growthOf = (label: string, largest: PolicySize): PolicySize => differenceOf(largest, byLabel.get(label)?.largest ?? NO_SIZE);
  // Only the labels of the policy are visited: a namespace may have thousands of policies with a label each.
  const totalWith = (pairs: readonly Pair[] | undefined, size: PolicySize): PolicySize => {
    if (pairs === undefined) return sumOf(total, size);
    const [only, second] = pairs;
    if (only !== undefined && second === undefined) return sumOf(total, growthOf(only[0], largestWith(only, size)));
    const largest = new Map<string, PolicySize>();
    for (const pair of pairs) largest.set(pair[0], largerOf(largest.get(pair[0]) ?? NO_SIZE, largestWith(pair, size)));
    return [...largest].reduce((sum, [label, one]) => sumOf(sum, growthOf(label, one)), total);
  };
  const addPair = ([label, value]: Pair, size: PolicySize): void => {
    let known = byLabel.get(label);
    if (known === undefined) byLabel.set(label, (known = { byValue: new Map(), largest: NO_SIZE }));
    const sum = sumOf(known.byValue.get(value) ?? NO_SIZE, size);
    known.byValue.set(value, sum);
    known.largest = largerOf(known.largest, sum);
  };
  return {
    with: (part) => totalWith(comparedPairs(part, labels), part.size),
    add: (part) => {
      const pairs = comparedPairs(part, labels);
      total = totalWith(pairs, part.size);
      for (const pair of pairs ?? []) addPair(pair, part.size);
    },
  };
}

/**
 * The label pairs by which a policy is compared with others, each once; undefined: it may select every pod. A pod that it selects has one of
 * them.
 */
function comparedPairs({ selectors }: PolicyPart, labels: LabelValues): readonly Pair[] | undefined {
  const [first] = selectors;
  // Most policies have one label, or none.
  if (selectors.length === 1 && first !== undefined && first.length < 2) return first.length === 0 ? undefined : first;
  const compared = new Map<string, Pair>();
  for (const pairs of selectors) {
    if (pairs.length === 0) return undefined;
    const best = pairs.reduce((one, pair) => (labels.countOf(pair[0]) > labels.countOf(one[0]) ? pair : one));
    compared.set(JSON.stringify(best), best);
  }
  return [...compared.values()];
}

function largerOf(one: PolicySize, other: PolicySize): PolicySize {
  return combine(one, other, Math.max);
}

function combine(one: PolicySize, other: PolicySize, by: (left: number, right: number) => number): PolicySize {
  return {
    bytes: by(one.bytes, other.bytes),
    packedBytes: by(one.packedBytes, other.packedBytes),
    rules: by(one.rules, other.rules),
    values: by(one.values, other.values),
  };
}
