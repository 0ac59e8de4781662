/*
 * Which version of a policy is in force when a new one arrives. In: what was known of the policy and the new object as it
 * came. Out: the version to enforce, and what is wrong with the new one. Called by the sources, for every policy they see.
 */
import { type ParseResult, parsePolicy } from './parse-policy.ts';
import type { Policy } from './resources.ts';
import { hasErrors, validatePolicy } from './validate-policy.ts';
import type { ValidationFinding } from './validation-finding.ts';

/** What is known of one policy. */
export interface PolicyVersion {
  /** The version to enforce; absent when none could ever be read. */
  readonly inForce?: Policy;
  /** Did {@link PolicyVersion.inForce} pass validation? */
  readonly isValid: boolean;
  /** Is {@link PolicyVersion.inForce} the newest version? False: the newest was refused and an older one stays. */
  readonly isNewest: boolean;
  /** Findings about the newest version, errors and warnings. */
  readonly findings: readonly ValidationFinding[];
}

/**
 * Takes or refuses a new version as a whole. A valid version is taken. An invalid one leaves the last valid version in
 * force. When there never was one, an invalid version that can be read is enforced as Istio would without its webhook: what
 * cannot be honoured is dropped so that ALLOW allows less and DENY denies more. What cannot even be read is not enforced.
 *
 * @param previous undefined when the policy is new to this process
 */
export function acceptPolicy(previous: PolicyVersion | undefined, object: unknown): PolicyVersion {
  const findings = validatePolicy(object);
  const parsed: ParseResult<Policy> = parsePolicy(object);
  const isValid = parsed.value !== undefined && !hasErrors(findings);
  const lastGood = previous?.isValid === true && isSameObject(previous.inForce, object) ? previous.inForce : undefined;
  if (!isValid && lastGood !== undefined) return { inForce: lastGood, isValid: true, isNewest: false, findings };
  if (parsed.value === undefined) return { isValid: false, isNewest: false, findings };
  return { inForce: parsed.value, isValid, isNewest: true, findings };
}

/** A policy that was deleted and created again under its old name has no past. */
function isSameObject(policy: Policy | undefined, object: unknown): boolean {
  const uid = (object as { readonly metadata?: { readonly uid?: unknown } } | null)?.metadata?.uid;
  return policy?.metadata.uid === undefined || uid === undefined || policy.metadata.uid === uid;
}
