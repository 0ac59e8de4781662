/*
 * Whether two versions of a policy mean the same.
 */
import type { Policy } from '../api/istio/resources.ts';

/** Whether the versions differ in nothing but the resourceVersion, which no bundle contains. */
export function sameMeaning(before: Policy | undefined, after: Policy | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const { resourceVersion: _before, ...old } = before.metadata;
  const { resourceVersion: _after, ...fresh } = after.metadata;
  return sameJson([before.kind, old, before.spec], [after.kind, fresh, after.spec]);
}

/** Whether two plain values have the same JSON. */
export function sameJson(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}
