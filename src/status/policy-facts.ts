/*
 * What became of one policy. In: the policy, the world, what is published, the state of keys. Out: the facts its status
 * speaks of. Pure reading; called by the status loop.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import { findPeerIdentityFields } from '../lint/peer-identity.ts';
import type { ClusterState, PolicyEntry } from '../state/cluster-state.ts';
import type { KeyTrouble, PolicyFacts } from './conditions.ts';
import type { Publication, Publications } from './publications.ts';

export interface FactSources {
  readonly clusterState: ClusterState;
  readonly publications: Publications;
  readonly jwksCache: JwksCache;
  /** The mesh settings as they are now. */
  readonly mesh: () => MeshConfig;
}

const NOTHING: PolicyFacts = { published: [], waiting: [], refused: [], withoutAgent: [], keys: [], findings: [] };

/** The facts about a policy; costs in proportion to the workloads that it selects. */
export function policyFacts(entry: PolicyEntry, sources: FactSources): PolicyFacts {
  const policy = entry.inForce;
  if (policy === undefined) return NOTHING;
  const { publications, jwksCache } = sources;
  const { selection } = sources.clusterState;
  const published: string[] = [];
  const waiting: string[] = [];
  const refused: { readonly workload: string; readonly message: string }[] = [];
  const findings: Finding[] = [];
  for (const key of [...selection.workloadsOf(entry.key)].sort()) {
    const publication = publications.get(key);
    findings.push(...(publication?.findings.get(entry.key) ?? []));
    if (publication?.refusal !== undefined) refused.push({ workload: key, message: publication.refusal.message });
    else if (holds(publication, entry.key, policy)) published.push(key);
    else waiting.push(key);
  }
  return {
    published,
    waiting,
    refused,
    withoutAgent: [...selection.workloadsWithoutAgentOf(entry.key)].sort(),
    keys: keyTroubles(policy, jwksCache),
    // Missing keys are spoken of where the state of their source is known.
    findings: [...findings.filter((finding) => finding.code !== 'SP_JWKS_UNAVAILABLE'), ...peerFindings(policy, sources.mesh())],
  };
}

function holds(publication: Publication | undefined, key: string, policy: Policy): boolean {
  return publication?.generations.get(key) === (policy.metadata.generation ?? 0);
}

function peerFindings(policy: Policy, { trustedProxies }: MeshConfig): readonly Finding[] {
  return policy.kind === 'AuthorizationPolicy' ? findPeerIdentityFields(policy, trustedProxies) : [];
}

function keyTroubles(policy: Policy, jwksCache: JwksCache): readonly KeyTrouble[] {
  if (policy.kind !== 'RequestAuthentication') return [];
  return (policy.spec.jwtRules ?? []).flatMap((rule, index): readonly KeyTrouble[] => {
    const state = jwksCache.stateOf(rule, policy.metadata.namespace);
    if (state.kind === 'stale' || state.kind === 'unavailable') return [{ kind: state.kind, rule: index, reason: state.reason }];
    return state.kind === 'pending' ? [{ kind: 'pending', rule: index, reason: 'the keys are being fetched' }] : [];
  });
}
