/*
 * Decides which version of a policy is active when a new version arrives. Cluster state calls it for every policy event.
 */
import { manifestFindings } from './manifest-findings.ts';
import { type ParseResult, parsePolicy } from './parse-policy.ts';
import { refusedByEnvoy } from './refused-by-envoy.ts';
import type { Policy } from './resources.ts';
import { hasErrors, validatePolicy } from './validate-policy.ts';
import type { ValidationFinding } from './validation-finding.ts';

/** Where a policy was read from. */
export type PolicySource = 'cluster' | 'manifest';

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
 * @param source in a manifest, an unknown field is an error, as with `kubectl apply`; in a cluster, the API server removed it
 */
export function acceptPolicy(previous: PolicyVersion | undefined, object: unknown, source: PolicySource = 'cluster'): PolicyVersion {
  const parsed: ParseResult<Policy> = source === 'manifest' ? withoutMisspeltRules(parsePolicy(object)) : parsePolicy(object);
  const findings = policyFindings(object, source);
  const isValid = parsed.value !== undefined && !hasErrors(findings);
  const lastGood = previous?.isValid === true && isSameObject(previous.active, object) ? previous.active : undefined;
  if (!isValid && lastGood !== undefined) return { active: lastGood, isValid: true, isNewest: false, findings };
  if (parsed.value === undefined) return { isValid: false, isNewest: false, findings };
  return { active: parsed.value, isValid, isNewest: true, findings };
}

/** Without an unknown field, a rule may allow more than its author wrote: an ALLOW rule that has one is dropped. */
function withoutMisspeltRules({ value, findings }: ParseResult<Policy>): ParseResult<Policy> {
  if (value?.kind !== 'AuthorizationPolicy' || value.spec.action !== 'ALLOW')
    return { findings, ...(value === undefined ? {} : { value }) };
  const misspelt = new Set(findings.map(({ path }) => /^spec\.rules\[(\d+)\]/.exec(path)?.[1]));
  const { rules, ...spec } = value.spec;
  const kept = rules?.filter((_, index) => !misspelt.has(String(index)));
  return { findings, value: { ...value, spec: { ...spec, ...(kept === undefined ? {} : { rules: kept }) } } };
}

/** Findings of every stage about one object: of admission, and if it would be admitted, what Envoy refuses. */
export function policyFindings(object: unknown, source: PolicySource): readonly ValidationFinding[] {
  const findings = source === 'manifest' ? manifestFindings(object) : validatePolicy(object);
  const { value } = parsePolicy(object);
  return value === undefined || hasErrors(findings) ? findings : [...findings, ...refusedByEnvoy(value)];
}

/** Whether both are the same object by UID: a policy that was deleted and created again does not inherit the old one's version. */
function isSameObject(policy: Policy | undefined, object: unknown): boolean {
  const uid = (object as { readonly metadata?: { readonly uid?: unknown } } | null)?.metadata?.uid;
  return policy?.metadata.uid === undefined || uid === undefined || policy.metadata.uid === uid;
}
