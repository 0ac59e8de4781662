/*
 * The door of the room. In: policies that passed validation. Out: warnings about what is valid and yet hardly meant so.
 * Called by `sallyport check` for all policies it read, and by the webhook for one alone.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { findOvershadowed } from './between-policies.ts';
import { findDeadValues } from './dead-values.ts';
import { findEvadableRules } from './evadable-rules.ts';
import { findJwtRuleTraps } from './jwt-rules.ts';
import { findPeerIdentityFields } from './peer-identity.ts';
import { findRootAccounts } from './root-accounts.ts';
import { findRuleShapes } from './rule-shape.ts';
import { findIssuerSlashes, findOptionalTokens, findUnknownTokens } from './token-sources.ts';

export interface LintOptions {
  readonly rootNamespace: string;
  /** Absent: paths are not held against a normalization. */
  readonly pathNormalization?: MeshConfig['pathNormalization'];
  /** Proxies that tell who the peer is, as in the mesh settings. Absent: none. */
  readonly trustedProxies?: MeshConfig['trustedProxies'];
}

/** The warnings about one policy. */
export interface PolicyLint {
  readonly policy: Policy;
  /** Never empty; all of severity `warning`. */
  readonly findings: readonly Finding[];
}

/** The traps that one policy holds by itself; in the order of the families. */
export function lintPolicy(policy: Policy, options: Partial<LintOptions> = {}): readonly Finding[] {
  const { rootNamespace, pathNormalization, trustedProxies = [] } = options;
  if (policy.kind === 'RequestAuthentication') return [...findIssuerSlashes(policy), ...findJwtRuleTraps(policy)];
  return [
    ...findDeadValues(policy, pathNormalization),
    ...(rootNamespace === undefined ? [] : findRootAccounts(policy, rootNamespace)),
    ...findRuleShapes(policy),
    ...findEvadableRules(policy),
    ...findPeerIdentityFields(policy, trustedProxies),
  ];
}

/** The traps of each policy, and those between `policies`; policies without one are left out. */
export function lintPolicies(policies: readonly Policy[], options: LintOptions): readonly PolicyLint[] {
  return policies
    .map((policy) => ({ policy, findings: [...lintPolicy(policy, options), ...lintBetween(policy, policies, options.rootNamespace)] }))
    .filter(({ findings }) => findings.length > 0);
}

function lintBetween(policy: Policy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  if (policy.kind === 'RequestAuthentication') return findOptionalTokens(policy, all, rootNamespace);
  return [...findUnknownTokens(policy, all, rootNamespace), ...findOvershadowed(policy, all, rootNamespace)];
}
