/*
 * Orders that the outcome depends on in Istio.
 */
import type { PolicyMetadata } from '../../api/istio/resources.ts';

/** Compares strings as Go and C++ do: by the bytes of their UTF-8 encoding. */
export function compareBytes(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    if (a !== b) return isSurrogate(a) === isSurrogate(b) ? a - b : Number(isSurrogate(a)) - Number(isSurrogate(b));
  }
  return left.length - right.length;
}

/** Surrogates encode the highest code points, although their code units are not the highest. */
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

/** A sorted copy: oldest first, then by name and namespace; objects without a timestamp (files) come first. */
export function sortPolicies<P extends { readonly metadata: PolicyMetadata }>(policies: readonly P[]): readonly P[] {
  return [...policies].sort((left, right) => compareMetadata(left.metadata, right.metadata));
}
