/*
 * Indexes policies by namespace and label, so that lint compares each policy with those that can select the same pods instead
 * of with the whole mesh.
 */
import type { Policy } from '../api/istio/resources.ts';

/** Policies that may select the same pod as `policy`, including itself; those of the root namespace first. */
export type Neighbours = (policy: Policy) => readonly Policy[];

/** Indexes `policies`. A policy of the root namespace may select pods of every namespace, any other policy only pods of the same namespace. */
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

/** A pod has one value per label: of the policies that select by the most common label, only those with the same value select the same pod. */
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
