/*
 * Orders that Istio's outcome depends on. In: policies or texts. Out: sorted copies. Used by the whole folder; `sortPolicies`
 * also by whoever lists policies for people in the order of evaluation.
 */
import type { PolicyMetadata } from '../../api/istio/resources.ts';

/** Compares as Go and C++ do: by the bytes of the UTF-8 form. */
export function compareBytes(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    if (a !== b) return isSurrogate(a) === isSurrogate(b) ? a - b : Number(isSurrogate(a)) - Number(isSurrogate(b));
  }
  return left.length - right.length;
}

/** Surrogates stand for characters above all others, though their numbers do not. */
function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

function compareMetadata(left: PolicyMetadata, right: PolicyMetadata): number {
  return (
    compareBytes(left.creationTimestamp ?? '', right.creationTimestamp ?? '') ||
    compareBytes(left.name, right.name) ||
    compareBytes(left.namespace, right.namespace)
  );
}

/** Oldest first, then by name and namespace; objects without a timestamp (files) come first. Gives a new list. */
export function sortPolicies<P extends { readonly metadata: PolicyMetadata }>(policies: readonly P[]): readonly P[] {
  return [...policies].sort((left, right) => compareMetadata(left.metadata, right.metadata));
}
