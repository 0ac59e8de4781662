/*
 * The door of the room. In: policies that passed validation. Out: findings about what is valid and yet hardly meant so.
 * Called by `sallyport check` for all policies it read, and by the webhook for one alone.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { findIdleAddressBits } from './address-blocks.ts';
import { findWidenedAudiences } from './audiences.ts';
import { findOvershadowed } from './between-policies.ts';
import { claimsSplitBy, findSplitClaims, findTypedClaims } from './claim-values.ts';
import { type CoverIndex, findCoveredRules, indexRules, type RuleMeaning } from './cover/covered-rules.ts';
import { findDeadValues } from './dead-values.ts';
import { findEvadableRules } from './evadable-rules.ts';
import { findJwtRuleTraps } from './jwt-rules.ts';
import { createNeighbours } from './neighbours.ts';
import { findPeerIdentityFields } from './peer-identity.ts';
import { findDeniedPreflights } from './preflights.ts';
import { findRootAccounts } from './root-accounts.ts';
import { findRuleShapes } from './rule-shape.ts';
import { findIdleTargets } from './targets.ts';
import { findIssuerSlashes, findOptionalTokens, findUnknownTokens, rulesForTokensOf } from './token-sources.ts';

export interface LintOptions extends RuleMeaning {
  /** Absent: paths are not held against a normalization. */
  readonly pathNormalization?: MeshConfig['pathNormalization'];
  /** Proxies that tell who the peer is, as in the mesh settings. Absent: none. */
  readonly trustedProxies?: MeshConfig['trustedProxies'];
}

/** The findings about one policy. */
export interface PolicyLint {
  readonly policy: Policy;
  /** Never empty; none of severity `error`. */
  readonly findings: readonly Finding[];
}

/** The traps that one policy holds by itself; in the order of the families. */
export function lintPolicy(policy: Policy, options: Partial<LintOptions> = {}): readonly Finding[] {
  const alone = lintAlone(policy, options);
  if (policy.kind === 'RequestAuthentication') return alone;
  const index = indexRules([policy], { rootNamespace: policy.metadata.namespace, ...options });
  return [...alone, ...findCoveredRules(policy, index)];
}

/** The traps of each policy, and those between `policies`; policies without one are left out. */
export function lintPolicies(policies: readonly Policy[], options: LintOptions): readonly PolicyLint[] {
  const neighbours = createNeighbours(policies, options.rootNamespace);
  const index = indexRules(policies, options);
  return policies
    .map((policy) => ({ policy, findings: [...lintAlone(policy, options), ...lintBetween(policy, neighbours(policy), index)] }))
    .filter(({ findings }) => findings.length > 0);
}

function lintAlone(policy: Policy, options: Partial<LintOptions>): readonly Finding[] {
  const { rootNamespace, pathNormalization, trustedProxies = [] } = options;
  if (policy.kind === 'RequestAuthentication')
    return [...findIdleTargets(policy), ...findIssuerSlashes(policy), ...findJwtRuleTraps(policy)];
  return [
    ...findIdleTargets(policy),
    ...findDeadValues(policy, pathNormalization),
    ...findIdleAddressBits(policy),
    ...findTypedClaims(policy),
    ...findSplitClaims(policy),
    ...(rootNamespace === undefined ? [] : findRootAccounts(policy, rootNamespace)),
    ...findRuleShapes(policy),
    ...findEvadableRules(policy),
    ...findPeerIdentityFields(policy, trustedProxies),
  ];
}

function lintBetween(policy: Policy, near: readonly Policy[], index: CoverIndex): readonly Finding[] {
  const { rootNamespace } = index;
  if (policy.kind === 'RequestAuthentication') {
    return [...findOptionalTokens(policy, near, rootNamespace), ...findWidenedAudiences(policy, near, rootNamespace)];
  }
  const overshadowed = findOvershadowed(policy, near, rootNamespace);
  // What is said of all rules at once is not said again of each.
  const covered = findCoveredRules(policy, index, (other) => overshadowed.length === 0 || other === policy);
  return [
    ...findUnknownTokens(policy, near, rootNamespace),
    ...findSplitClaims(policy, claimsSplitBy(rulesForTokensOf(policy, near, rootNamespace))),
    ...overshadowed,
    ...covered,
    ...findDeniedPreflights(policy, near, rootNamespace),
  ];
}
