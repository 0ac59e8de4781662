/*
 * Pods that the selectors of policies name and the input does not have: manifests of policies are often kept apart from those of
 * workloads, and a policy whose workloads are elsewhere must not be skipped.
 */
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import { type Labels, matchesLabels, selectsPod } from '../../resolve/policy-applies.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import type { PolicySet } from '../input/policy-set.ts';

/** A pod that a controller may create some day. */
export interface SelectorPod {
  /** `namespace/key=value,key=value`, or `namespace/any-pod` without labels. */
  readonly workload: string;
  readonly labels: Labels;
}

/** Which pods are wanted. */
export interface SelectorPodsOptions {
  /** Labels that every pod has; absent: none. */
  readonly start?: Labels;
  /** Whether pods count that no policy selects; absent: not. With workloads in the input they never do. */
  readonly withoutPolicies?: boolean;
  /** Namespaces besides those of policies and workloads. */
  readonly namespaces?: readonly string[];
  /** Absent: every namespace. */
  readonly isWanted?: (namespace: string) => boolean;
}

/** Of one namespace, and of all together. */
const MAX_PODS = 5000;

/** Finds pods for policies. @throws CommandError when there are more than 5,000 */
export type FindSelectorPods = (options?: SelectorPodsOptions) => readonly SelectorPod[];

/**
 * Finds a pod for every set of labels that the selectors of the policies of a namespace make together. With workloads in the input only pods
 * that a policy selects which selects none of these workloads.
 */
export function selectorPods(sides: readonly PolicySet[]): FindSelectorPods {
  const policies = sides.flatMap((side) => side.policies ?? []).filter(({ spec }) => (spec.targetRefs ?? []).length === 0);
  const byNamespace = Map.groupBy(policies, ({ metadata }) => metadata.namespace);
  const rootNamespace = sides.find((side) => side.policies !== undefined)?.rootNamespace ?? '';
  const inScopeOf = (namespace: string): readonly Policy[] =>
    [...new Set([rootNamespace, namespace])].flatMap((one) => byNamespace.get(one) ?? []);
  const workloadNamespaces = new Set<string>();
  const idle = new Set(policies);
  for (const side of sides) {
    for (const workload of side.workloads) {
      const { namespace } = parseWorkloadKey(workload);
      workloadNamespaces.add(namespace);
      const labelSets = side.labelSets(workload);
      for (const policy of inScopeOf(namespace)) if (labelSets.some((labels) => selectsPod(policy, namespace, labels))) idle.delete(policy);
    }
  }
  const hasWorkloads = workloadNamespaces.size > 0;
  return ({ start = {}, withoutPolicies = false, namespaces = [], isWanted = () => true } = {}) => {
    const pods: SelectorPod[] = [];
    const known = new Set([...byNamespace.keys(), ...workloadNamespaces, ...namespaces]);
    for (const namespace of [...known].filter(isWanted).toSorted()) {
      const own = inScopeOf(namespace);
      const wanted = selectorsOf(own.filter((policy) => idle.has(policy)));
      if (hasWorkloads && wanted.length === 0) continue;
      for (const labels of labelSetsOf(selectorsOf(own), start, namespace)) {
        const isFound = (withoutPolicies && !hasWorkloads) || wanted.some((selector) => matchesLabels(selector, labels));
        if (isFound) pods.push({ workload: `${namespace}/${nameOf(labels)}`, labels });
      }
      if (pods.length > MAX_PODS) throw tooMany('the namespaces together');
    }
    return pods;
  };
}

/** Each selector once. */
function selectorsOf(policies: readonly Policy[]): readonly Labels[] {
  return [...new Map(policies.map(({ spec }) => [nameOf(spec.selector?.matchLabels ?? {}), spec.selector?.matchLabels ?? {}])).values()];
}

/** `start` with the labels of any of the selectors that agree with it and with each other. */
function labelSetsOf(selectors: readonly Labels[], start: Labels, namespace: string): readonly Labels[] {
  const sets = new Map([[nameOf(start), start]]);
  for (const selector of selectors) {
    for (const labels of sets.values()) {
      const joined = join(labels, selector);
      if (joined !== undefined) sets.set(nameOf(joined), joined);
    }
    if (sets.size > MAX_PODS) throw tooMany(namespace);
  }
  return [...sets.values()];
}

function tooMany(where: string): CommandError {
  return new CommandError(
    EXIT_BAD_DATA,
    `policies of ${where} select pods by more than ${MAX_PODS} combinations of labels; add the manifests of the workloads`,
  );
}

/** Undefined: one label has two values. */
function join(labels: Labels, more: Labels): Labels | undefined {
  for (const [key, value] of Object.entries(more)) if (Object.hasOwn(labels, key) && labels[key] !== value) return undefined;
  return { ...labels, ...more };
}

function nameOf(labels: Labels): string {
  const pairs = Object.entries(labels)
    .toSorted()
    .map(([key, value]) => `${key}=${value}`);
  // A slash separates namespace and name.
  return pairs.length === 0 ? 'any-pod' : pairs.join(',').replaceAll('/', '.');
}
