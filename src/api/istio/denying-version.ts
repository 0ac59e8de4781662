/*
 * What is enforced in place of a policy that is valid but cannot be enforced, because it is over its budget: a small policy that
 * denies at least every request that the whole one denies.
 */
import { DRY_RUN_ANNOTATION } from '../kube/names.ts';
import type { AuthorizationPolicy, JwtRule, Policy, RequestAuthentication } from './resources.ts';

const versions = new WeakSet<Policy>();
/** Replacements by the policy that they replace: equal decisions give equal objects. */
const replacements = new WeakMap<Policy, Policy>();
const denials = new WeakMap<Policy, Policy>();

/** A key set without keys: a rule that has it refuses every token, and nothing is fetched for it. */
const NO_KEYS = '{"keys":[]}';

/** Whether {@link denyingVersion} or {@link denyAllVersion} made the policy. */
export function isDenyingVersion(policy: Policy): boolean {
  return versions.has(policy);
}

/**
 * The policy to enforce in place of `policy`, for the same pods: ALLOW matches nothing and still counts as an ALLOW policy; DENY and CUSTOM
 * deny everything; a RequestAuthentication finds the same tokens and refuses all of them.
 *
 * @returns undefined for AUDIT, which never denies
 */
export function denyingVersion(policy: Policy): Policy | undefined {
  const version = replacements.get(policy) ?? makeVersion(policy);
  if (version !== undefined) replacements.set(policy, version);
  return version;
}

function makeVersion(policy: Policy): Policy | undefined {
  if (policy.kind === 'RequestAuthentication') return made({ ...policy, spec: { ...policy.spec, jwtRules: rulesWithoutKeys(policy) } });
  switch (policy.spec.action) {
    case 'AUDIT':
      return undefined;
    case 'ALLOW':
      return made({ ...policy, spec: { ...placeOf(policy), action: 'ALLOW' } });
    case 'DENY':
    case 'CUSTOM':
      return denyAllVersion(policy);
  }
}

/** A policy that denies every request to the pods that `policy` selects. */
export function denyAllVersion(policy: Policy): Policy {
  const version = denials.get(policy) ?? makeDenial(policy);
  denials.set(policy, version);
  return version;
}

function makeDenial(policy: Policy): Policy {
  const { metadata } = policy;
  // Istio ignores dry-run for CUSTOM, so the annotation must not make the replacement one that only logs.
  const isDryRunDeny = policy.kind === 'AuthorizationPolicy' && policy.spec.action === 'DENY';
  const { [DRY_RUN_ANNOTATION]: dryRun, ...annotations } = metadata.annotations ?? {};
  const version: AuthorizationPolicy = {
    kind: 'AuthorizationPolicy',
    metadata: { ...metadata, annotations: isDryRunDeny && dryRun !== undefined ? { [DRY_RUN_ANNOTATION]: dryRun } : annotations },
    spec: { ...placeOf(policy), action: 'DENY', rules: [{}] },
  };
  return made(version);
}

function rulesWithoutKeys({ spec }: RequestAuthentication): readonly JwtRule[] {
  return (spec.jwtRules ?? []).map(({ jwksUri: _jwksUri, ...rule }) => ({ ...rule, jwks: NO_KEYS }));
}

/** Which pods the policy selects. */
function placeOf({ spec: { selector, targetRefs } }: Policy): Pick<AuthorizationPolicy['spec'], 'selector' | 'targetRefs'> {
  return { ...(selector === undefined ? {} : { selector }), ...(targetRefs === undefined ? {} : { targetRefs }) };
}

function made<P extends Policy>(policy: P): P {
  versions.add(policy);
  return policy;
}
