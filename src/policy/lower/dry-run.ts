/*
 * The dry-run annotation. In: a policy's annotations. Out: whether it is only watched. Used by `lowerAuthorization`.
 */
import type { PolicyMetadata } from '../../api/istio/resources.ts';

const DRY_RUN_ANNOTATION = 'istio.io/dry-run';
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** `invalid`: not a boolean as Go reads one; such a policy is enforced. Absent annotation: `false`. */
export function dryRunOf(metadata: PolicyMetadata): boolean | 'invalid' {
  const value = metadata.annotations?.[DRY_RUN_ANNOTATION];
  if (value === undefined || FALSE.has(value)) return false;
  return TRUE.has(value) ? true : 'invalid';
}
