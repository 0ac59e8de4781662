/*
 * The facts that the status of one policy reports, read from the cluster state, the workload ledger and the key cache.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import { findPeerIdentityFields } from '../lint/peer-identity.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import type { KeyProblem, PolicyFacts } from './conditions.ts';
import { isUnverified, type LedgerView } from './workload-ledger.ts';

/** Where facts are read from. */
export interface FactSources {
  readonly clusterState: ClusterState;
  readonly ledger: LedgerView;
  readonly jwksCache: Pick<JwksCache, 'stateOf'>;
  /** The current mesh settings. */
  readonly mesh: () => MeshConfig;
}

const NOTHING: PolicyFacts = { published: [], waiting: [], refused: [], withoutAgent: [], keys: [], findings: [] };

/**
 * The facts about a policy; costs in proportion to the workloads that it selects.
 *
 * @returns undefined while the present leader has not verified the bundle of every selected workload: the status that an
 * earlier leader wrote then stays
 */
export function policyFacts(entry: PolicyEntry, sources: FactSources): PolicyFacts | undefined {
  const policy = entry.active;
  if (policy === undefined) return NOTHING;
  const { ledger, jwksCache } = sources;
  const { selection } = sources.clusterState;
  const published: string[] = [];
  const waiting: string[] = [];
  const refused: { readonly workload: string; readonly message: string }[] = [];
  const findings: Finding[] = [];
  for (const key of [...selection.workloadsOf(entry.key)].sort()) {
    const record = ledger.get(key);
    if (isUnverified(record)) return undefined;
    findings.push(...(record?.desired?.findings.get(entry.key) ?? []));
    if (record?.refusal !== undefined) refused.push({ workload: key, message: record.refusal.message });
    else if (record?.policies.get(entry.key) === (policy.metadata.generation ?? 0)) published.push(key);
    else waiting.push(key);
  }
  return {
    published,
    waiting,
    refused,
    withoutAgent: [...selection.workloadsWithoutAgentOf(entry.key)].sort(),
    keys: keyProblems(policy, jwksCache),
    // Missing keys are reported with the state of their source.
    findings: [...findings.filter((finding) => finding.code !== 'SP_JWKS_UNAVAILABLE'), ...peerFindings(policy, sources.mesh())],
  };
}

function peerFindings(policy: Policy, { trustedProxies }: MeshConfig): readonly Finding[] {
  return policy.kind === 'AuthorizationPolicy' ? findPeerIdentityFields(policy, trustedProxies) : [];
}

function keyProblems(policy: Policy, jwksCache: FactSources['jwksCache']): readonly KeyProblem[] {
  if (policy.kind !== 'RequestAuthentication') return [];
  return (policy.spec.jwtRules ?? []).flatMap((rule, index): readonly KeyProblem[] => {
    const state = jwksCache.stateOf(rule, policy.metadata.namespace);
    if (state.kind === 'stale' || state.kind === 'unavailable') return [{ kind: state.kind, rule: index, reason: state.reason }];
    return state.kind === 'pending' ? [{ kind: 'pending', rule: index, reason: 'the keys are being fetched' }] : [];
  });
}
