/*
 * Entry point of lint. Reports what is valid but probably not intended in policies that passed validation. `sallyport check`
 * lints all policies together, the webhook one policy at a time.
 */
import type { RuleProver } from '../analysis/rule-prover.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { findIdleAddressBits } from './address-blocks.ts';
import { findWidenedAudiences } from './audiences.ts';
import { findOvershadowed } from './between-policies.ts';
import { claimsSplitBy, findSplitClaims, findTypedClaims } from './claim-values.ts';
import { type CoverIndex, findCoveredRules, findExtremeRules, indexRules, type RuleMeaning } from './cover/covered-rules.ts';
import { findDeadValues } from './dead-values.ts';
import { findEvadableRules } from './evadable-rules.ts';
import { findJwtRuleTraps } from './jwt-rules.ts';
import { createNeighbours } from './neighbours.ts';
import { findPeerIdentityFields } from './peer-identity.ts';
import { findDeniedPreflights } from './preflights.ts';
import { findRootAccounts } from './root-accounts.ts';
import { findRuleShapes } from './rule-shape.ts';
import { findSecrets, type SecretSettings } from './secrets.ts';
import { findIdleTargets } from './targets.ts';
import { findIssuerSlashes, findOptionalTokens, findUnknownTokens, rulesForTokensOf } from './token-sources.ts';

/** Mesh settings that the findings depend on. */
export interface LintOptions extends RuleMeaning, Partial<Omit<SecretSettings, 'rootNamespace'>> {
  /** Absent: paths are not compared with their normalized form. */
  readonly pathNormalization?: MeshConfig['pathNormalization'];
  /** Proxies that identify the peer, as in the mesh settings. Absent: none. */
  readonly trustedProxies?: MeshConfig['trustedProxies'];
  /** As in the mesh settings. Absent: peers are not identified by address. */
  readonly peerIdentity?: MeshConfig['peerIdentity'];
}

/** The findings about one policy. */
export interface PolicyLint {
  readonly policy: Policy;
  /** Never empty; none of severity `error`. */
  readonly findings: readonly Finding[];
}

/** Findings about one policy on its own. */
export function lintPolicy(policy: Policy, options: Partial<LintOptions> = {}): readonly Finding[] {
  const alone = lintAlone(policy, options);
  if (policy.kind === 'RequestAuthentication') return alone;
  const index = indexRules([policy], { rootNamespace: policy.metadata.namespace, ...options });
  return [...alone, ...findCoveredRules(policy, index)];
}

/**
 * Findings about each policy, and about policies that affect each other. Policies without findings are left out.
 * @param prover undefined: of rules without effect, only quick cases are found
 */
export function lintPolicies(policies: readonly Policy[], options: LintOptions, prover?: RuleProver): readonly PolicyLint[] {
  const neighbours = createNeighbours(policies, options.rootNamespace);
  const index = indexRules(policies, options, prover);
  return policies
    .map((policy) => {
      const alone = lintAlone(policy, options);
      return { policy, findings: [...alone, ...lintBetween(policy, neighbours(policy), index, alone)] };
    })
    .filter(({ findings }) => findings.length > 0);
}

function lintAlone(policy: Policy, options: Partial<LintOptions>): readonly Finding[] {
  const { rootNamespace, pathNormalization, trustedProxies = [], peerIdentity = { podIP: false } } = options;
  if (policy.kind === 'RequestAuthentication')
    return [...findIdleTargets(policy), ...findIssuerSlashes(policy), ...findJwtRuleTraps(policy), ...findSecrets(policy, options)];
  return [
    ...findIdleTargets(policy),
    ...findDeadValues(policy, pathNormalization),
    ...findIdleAddressBits(policy),
    ...findTypedClaims(policy),
    ...findSplitClaims(policy),
    ...(rootNamespace === undefined ? [] : findRootAccounts(policy, rootNamespace)),
    ...findRuleShapes(policy),
    ...findEvadableRules(policy),
    ...findPeerIdentityFields(policy, { trustedProxies, peerIdentity }),
    ...findSecrets(policy, options),
  ];
}

function lintBetween(policy: Policy, near: readonly Policy[], index: CoverIndex, alone: readonly Finding[]): readonly Finding[] {
  const { rootNamespace } = index;
  if (policy.kind === 'RequestAuthentication') {
    return [...findOptionalTokens(policy, near, rootNamespace), ...findWidenedAudiences(policy, near, rootNamespace)];
  }
  const overshadowed = findOvershadowed(policy, near, index);
  // A finding about all rules of the policy is not repeated for each rule.
  const covered = findCoveredRules(policy, index, (other) => overshadowed.length === 0 || other === policy);
  return [
    ...findUnknownTokens(policy, near, rootNamespace),
    ...findSplitClaims(policy, claimsSplitBy(rulesForTokensOf(policy, near, rootNamespace))),
    ...findExtremeRules(policy, index, alone),
    ...overshadowed,
    ...covered,
    ...findDeniedPreflights(policy, near, rootNamespace),
  ];
}
