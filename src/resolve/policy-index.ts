/*
 * Active policies, found by the labels of a pod. Each policy is filed under one label pair of its selector, so that a
 * look-up examines only policies that share that pair with the pod, and those without a selector.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { PolicyKey } from '../api/kube/keys.ts';
import { GATEWAY_NAME_LABEL } from '../api/kube/names.ts';
import { isGatewayTarget, type Labels } from './policy-applies.ts';

/** Policies by key, and by namespace and label pair. */
export interface PolicyIndex {
  readonly get: (key: PolicyKey) => Policy | undefined;
  readonly keys: () => IterableIterator<PolicyKey>;
  /** Adds or replaces the policy that `key` names. */
  readonly set: (key: PolicyKey, policy: Policy) => void;
  readonly delete: (key: PolicyKey) => void;
  /** Every policy of `namespace` that can select a pod with `labels`, and possibly others; the caller checks each. */
  readonly candidates: (namespace: string, labels: Labels) => Iterable<readonly [PolicyKey, Policy]>;
  /** Whether a selector of `namespace` names the label key. */
  readonly hasLabelKey: (namespace: string, key: string) => boolean;
}

interface Filed {
  readonly policy: Policy;
  /** Label pairs the policy is filed under; `undefined`: under no pair, because it selects every pod. */
  readonly pairs: readonly string[] | undefined;
}

interface NamespacePolicies {
  readonly unconditional: Map<PolicyKey, Policy>;
  readonly byPair: Map<string, Map<PolicyKey, Policy>>;
  /** How many selectors name a pair, whether or not their policy is filed under it. */
  readonly mentions: Map<string, number>;
  /** How many of these pairs have a label key. */
  readonly keys: Map<string, number>;
}

/** `key=value`. Two pairs may share a string only when a label key contains `=`, which Kubernetes rejects. */
export function labelPair(key: string, value: string): string {
  return `${key}=${value}`;
}

/** The key of a pair. */
function keyOfPair(pair: string): string {
  return pair.slice(0, pair.indexOf('='));
}

/**
 * The label pairs that a policy requires of a pod.
 *
 * @returns `any`: the pod has one of them (`targetRefs`); `all`: the pod has all of them, none when it selects every pod
 */
export function requiredPairs({ spec }: Policy): { readonly any: readonly string[] } | { readonly all: readonly string[] } {
  if (spec.targetRefs !== undefined && spec.targetRefs.length > 0) {
    return { any: spec.targetRefs.filter(isGatewayTarget).map(({ name }) => labelPair(GATEWAY_NAME_LABEL, name)) };
  }
  return { all: Object.entries(spec.selector?.matchLabels ?? {}).map(([key, value]) => labelPair(key, value)) };
}

/** An empty index. */
export function createPolicyIndex(): PolicyIndex {
  const filedByKey = new Map<PolicyKey, Filed>();
  const namespaces = new Map<string, NamespacePolicies>();

  const remove = (key: PolicyKey): void => {
    const filed = filedByKey.get(key);
    if (filed === undefined) return;
    filedByKey.delete(key);
    const { namespace } = filed.policy.metadata;
    const policies = namespaces.get(namespace);
    if (policies === undefined) return;
    unfile(policies, key, filed);
    if (policies.unconditional.size === 0 && policies.mentions.size === 0) namespaces.delete(namespace);
  };

  return {
    get: (key) => filedByKey.get(key)?.policy,
    keys: () => filedByKey.keys(),
    set: (key, policy) => {
      remove(key);
      const { namespace } = policy.metadata;
      const policies = namespaces.get(namespace) ?? {
        unconditional: new Map<PolicyKey, Policy>(),
        byPair: new Map<string, Map<PolicyKey, Policy>>(),
        mentions: new Map<string, number>(),
        keys: new Map<string, number>(),
      };
      namespaces.set(namespace, policies);
      filedByKey.set(key, file(policies, key, policy));
    },
    delete: remove,
    candidates: (namespace, labels) => candidatesIn(namespaces.get(namespace), labels),
    hasLabelKey: (namespace, key) => namespaces.get(namespace)?.keys.has(key) === true,
  };
}

function* candidatesIn(policies: NamespacePolicies | undefined, labels: Labels): Iterable<readonly [PolicyKey, Policy]> {
  if (policies === undefined) return;
  yield* policies.unconditional;
  if (policies.byPair.size === 0) return;
  for (const [key, value] of Object.entries(labels)) yield* policies.byPair.get(labelPair(key, value)) ?? [];
}

function file(policies: NamespacePolicies, key: PolicyKey, policy: Policy): Filed {
  const required = requiredPairs(policy);
  const named = 'any' in required ? required.any : required.all;
  // The least shared pair: a label that every selector names, such as env=prod, would collect them all.
  const pairs = 'any' in required ? [...new Set(named)] : leastMentioned(named, policies.mentions);
  for (const pair of named) mention(policies, pair, 1);
  if (pairs === undefined) policies.unconditional.set(key, policy);
  for (const pair of pairs ?? []) {
    const bucket = policies.byPair.get(pair);
    if (bucket === undefined) policies.byPair.set(pair, new Map([[key, policy]]));
    else bucket.set(key, policy);
  }
  return { policy, pairs };
}

function unfile(policies: NamespacePolicies, key: PolicyKey, { policy, pairs }: Filed): void {
  policies.unconditional.delete(key);
  for (const pair of pairs ?? []) {
    const bucket = policies.byPair.get(pair);
    bucket?.delete(key);
    if (bucket?.size === 0) policies.byPair.delete(pair);
  }
  const required = requiredPairs(policy);
  for (const pair of 'any' in required ? required.any : required.all) {
    mention(policies, pair, -1);
  }
}

function mention({ mentions, keys }: NamespacePolicies, pair: string, by: 1 | -1): void {
  const before = mentions.get(pair) ?? 0;
  addCount(mentions, pair, by);
  const isKnown = before > 0;
  if (isKnown !== before + by > 0) addCount(keys, keyOfPair(pair), by);
}

function addCount(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count <= 0) counts.delete(key);
  else counts.set(key, count);
}

function leastMentioned(pairs: readonly string[], mentions: ReadonlyMap<string, number>): readonly string[] | undefined {
  if (pairs.length === 0) return undefined;
  return [pairs.reduce((best, pair) => ((mentions.get(pair) ?? 0) < (mentions.get(best) ?? 0) ? pair : best))];
}
