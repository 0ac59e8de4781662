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

/** Both together. */
export function sumOf(one: PolicySize, other: PolicySize): PolicySize {
  return combine(one, other, (left, right) => left + right);
}

/** `one` without `other`, which is part of it. */
export function differenceOf(one: PolicySize, other: PolicySize): PolicySize {
  return combine(one, other, (left, right) => left - right);
}

/** Adds up policies; see {@link createPolicyLoad}. */
export interface PolicyLoad {
  /** What the policies take on the pod that most of them select, if `policy` of this size is added. */
  readonly with: (policy: Policy, size: PolicySize) => PolicySize;
  readonly add: (policy: Policy, size: PolicySize) => void;
}

/** @param policies every policy that may be added: of their labels, those that distinguish most of them are compared */
export function createPolicyLoad(policies: Iterable<Policy>): PolicyLoad {
  const distinct = valuesByLabel(policies);
  /** What the policies take on the pod that most of them select. */
  let total = NO_SIZE;
  /** By label, then by value. */
  const byLabel = new Map<string, Map<string, PolicySize>>();
  /** By label: the largest size of any value, in each member. */
  const largest = new Map<string, PolicySize>();

  /** The size by label if the policy is added. */
  const grown = (policy: Policy, size: PolicySize): ReadonlyMap<string, Map<string, PolicySize>> | undefined => {
    const pairs = comparedPairs(policy, distinct);
    if (pairs === undefined) return undefined;
    const result = new Map<string, Map<string, PolicySize>>();
    for (const [label, value] of pairs) {
      const values = result.get(label) ?? new Map<string, PolicySize>();
      values.set(value, sumOf(byLabel.get(label)?.get(value) ?? NO_SIZE, size));
      result.set(label, values);
    }
    return result;
  };
  const maximumOf = (label: string, values: ReadonlyMap<string, PolicySize>): PolicySize =>
    [...values.values()].reduce(largerOf, largest.get(label) ?? NO_SIZE);
  // Only the labels of the policy are visited: a namespace may have thousands of policies with a label each.
  const totalWith = (more: ReadonlyMap<string, Map<string, PolicySize>> | undefined, size: PolicySize): PolicySize =>
    more === undefined
      ? sumOf(total, size)
      : [...more].reduce(
          (sum, [label, values]) => sumOf(sum, differenceOf(maximumOf(label, values), largest.get(label) ?? NO_SIZE)),
          total,
        );
  return {
    with: (policy, size) => totalWith(grown(policy, size), size),
    add: (policy, size) => {
      const more = grown(policy, size);
      total = totalWith(more, size);
      for (const [label, values] of more ?? []) {
        largest.set(label, maximumOf(label, values));
        const known = byLabel.get(label) ?? new Map<string, PolicySize>();
        byLabel.set(label, known);
        for (const [value, sum] of values) known.set(value, sum);
      }
    },
  };
}

/** The label pairs by which a policy is compared with others; undefined: it may select every pod. A pod that it selects has one of them. */
function comparedPairs(policy: Policy, distinct: ReadonlyMap<string, number>): readonly (readonly [string, string])[] | undefined {
  const count = ([label]: readonly [string, string]): number => distinct.get(label) ?? 0;
  const compared: (readonly [string, string])[] = [];
  for (const selector of selectorsOf(policy)) {
    const [first, ...others] = Object.entries(selector).sort(([one], [other]) => (one < other ? -1 : 1));
    if (first === undefined) return undefined;
    compared.push(others.reduce((best, pair) => (count(pair) > count(best) ? pair : best), first));
  }
  return compared;
}

function valuesByLabel(policies: Iterable<Policy>): ReadonlyMap<string, number> {
  const values = new Map<string, Set<string>>();
  for (const { spec } of policies) {
    for (const [label, value] of Object.entries(spec.selector?.matchLabels ?? {})) {
      const known = values.get(label);
      if (known === undefined) values.set(label, new Set([value]));
      else known.add(value);
    }
  }
  return new Map([...values].map(([label, all]) => [label, all.size]));
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
