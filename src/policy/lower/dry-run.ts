/*
 * Reads the dry-run annotation of a policy.
 */
import type { PolicyMetadata } from '../../api/istio/resources.ts';

const DRY_RUN_ANNOTATION = 'istio.io/dry-run';
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Is the policy evaluated without being enforced? `invalid`: the value is not a boolean in Go's syntax, and the policy is enforced. */
export function dryRunOf(metadata: PolicyMetadata): boolean | 'invalid' {
  const value = metadata.annotations?.[DRY_RUN_ANNOTATION];
  if (value === undefined || FALSE.has(value)) return false;
  return TRUE.has(value) ? true : 'invalid';
}
