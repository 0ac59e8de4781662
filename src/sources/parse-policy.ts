/*
 * What one version of a policy object is worth. In: the raw object. Out: the policy that may come into force, whether this
 * version is valid, and every finding. Called by the world for each version it sees.
 */
import { parsePolicy } from '../api/istio/parse-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';

export interface PolicyVersion {
  /** Present unless the object cannot be read at all. */
  readonly policy?: Policy;
  /** Without an error finding. */
  readonly isValid: boolean;
  readonly findings: readonly Finding[];
}

/** Reads and checks one version of a policy. */
export function readPolicyVersion(raw: unknown): PolicyVersion {
  const { value, findings } = parsePolicy(raw);
  const isValid = value !== undefined && !findings.some((finding) => finding.severity === 'error');
  return { isValid, findings, ...(value === undefined ? {} : { policy: value }) };
}
