/*
 * Policies by namespace and label, so that each is held against those that can reach the same pods, and not against the whole
 * mesh. In: all policies. Out: the neighbours of one. Called by lintPolicies.
 */
import type { Policy } from '../api/istio/resources.ts';

/** The policies that may select a pod together with `policy`, itself among them; those of the root namespace first. */
export type Neighbours = (policy: Policy) => readonly Policy[];

/** A policy of the root namespace may meet those of every namespace, any other those of its own and of the root namespace. */
export function createNeighbours(policies: readonly Policy[], rootNamespace: string): Neighbours {
  const byNamespace = Map.groupBy(policies, ({ metadata }) => metadata.namespace);
  const root = byNamespace.get(rootNamespace) ?? [];
  const inRoot = byLabel(policies);
  const neighbours = new Map([...byNamespace].map(([namespace, own]) => [namespace, byLabel([...root, ...own])]));
  return (policy) => {
    const { namespace } = policy.metadata;
    return namespace === rootNamespace ? inRoot(policy) : (neighbours.get(namespace)?.(policy) ?? []);
  };
}

/** No pod has two values of one label: of those that select by the commonest label, only those with the same value meet. */
function byLabel(policies: readonly Policy[]): Neighbours {
  const uses = Map.groupBy(
    policies.flatMap((policy) => Object.keys(labelsOf(policy))),
    (key) => key,
  );
  const [label] = [...uses].toSorted(([, one], [, other]) => other.length - one.length)[0] ?? [];
  if (label === undefined) return () => policies;
  const byValue = Map.groupBy(policies, (policy) => valueOf(policy, label));
  const others = byValue.get(undefined) ?? [];
  return (policy) => {
    const value = valueOf(policy, label);
    return value === undefined ? policies : [...others, ...(byValue.get(value) ?? [])];
  };
}

function labelsOf({ spec }: Policy): Readonly<Record<string, string>> {
  return spec.selector?.matchLabels ?? {};
}

function valueOf(policy: Policy, label: string): string | undefined {
  const labels = labelsOf(policy);
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}
