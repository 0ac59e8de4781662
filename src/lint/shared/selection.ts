/*
 * Relates the selections of two policies without knowing any pod: whether they can, or must, select the same pods.
 */
import type { Policy } from '../../api/istio/resources.ts';
import { isInScope } from '../../resolve/policy-applies.ts';

/** Whether both policies can select the same pod. */
export function canMeet(a: Policy, b: Policy, rootNamespace: string): boolean {
  const isNear = isInScope(a, b.metadata.namespace, rootNamespace) || isInScope(b, a.metadata.namespace, rootNamespace);
  if (!isNear || targetsOf(a) !== targetsOf(b)) return false;
  const labels = b.spec.selector?.matchLabels ?? {};
  return Object.entries(a.spec.selector?.matchLabels ?? {}).every(([key, value]) => !Object.hasOwn(labels, key) || labels[key] === value);
}

/** Whether `wide` selects every pod that `narrow` selects. */
export function covers(wide: Policy, narrow: Policy, rootNamespace: string): boolean {
  if (!isInScope(wide, narrow.metadata.namespace, rootNamespace) || targetsOf(wide) !== targetsOf(narrow)) return false;
  const labels = narrow.spec.selector?.matchLabels ?? {};
  return Object.entries(wide.spec.selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

function targetsOf({ spec }: Policy): string {
  return spec.targetRefs === undefined ? '' : JSON.stringify(spec.targetRefs);
}
