/*
 * Decides which version of a policy is active when a new version arrives. Cluster state calls it for every policy event.
 */
import { type ParseResult, parsePolicy } from './parse-policy.ts';
import type { Policy } from './resources.ts';
import { hasErrors, validatePolicy } from './validate-policy.ts';
import type { ValidationFinding } from './validation-finding.ts';

/** The active version of one policy and the findings about the newest one. */
export interface PolicyVersion {
  /** The version to enforce; absent if no version could ever be parsed. */
  readonly active?: Policy;
  /** Whether {@link PolicyVersion.active} passed validation. */
  readonly isValid: boolean;
  /** Whether {@link PolicyVersion.active} is the newest version; false: the newest was rejected and an older one stays active. */
  readonly isNewest: boolean;
  /** Findings about the newest version, errors and warnings. */
  readonly findings: readonly ValidationFinding[];
}

/**
 * Accepts or rejects a new version as a whole. A valid version becomes active. An invalid version leaves the last valid
 * version active. If there never was a valid one, an invalid version that can be parsed is enforced like in Istio without
 * its webhook: parts that cannot be enforced are dropped so that ALLOW allows less and DENY denies more. A version that
 * cannot be parsed is not enforced.
 *
 * @param previous undefined if this process has not seen the policy before
 */
export function acceptPolicy(previous: PolicyVersion | undefined, object: unknown): PolicyVersion {
  const findings = validatePolicy(object);
  const parsed: ParseResult<Policy> = parsePolicy(object);
  const isValid = parsed.value !== undefined && !hasErrors(findings);
  const lastGood = previous?.isValid === true && isSameObject(previous.active, object) ? previous.active : undefined;
  if (!isValid && lastGood !== undefined) return { active: lastGood, isValid: true, isNewest: false, findings };
  if (parsed.value === undefined) return { isValid: false, isNewest: false, findings };
  return { active: parsed.value, isValid, isNewest: true, findings };
}

/** Whether both are the same object by UID: a policy that was deleted and created again does not inherit the old one's version. */
function isSameObject(policy: Policy | undefined, object: unknown): boolean {
  const uid = (object as { readonly metadata?: { readonly uid?: unknown } } | null)?.metadata?.uid;
  return policy?.metadata.uid === undefined || uid === undefined || policy.metadata.uid === uid;
}
