/*
 * Lowers the policies of one workload, together with mesh settings, to its program. Called once per distinct set of policies.
 */
import type { AuthorizationPolicy, JwtRule, Policy, RequestAuthentication } from '../../api/istio/resources.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { formatIpBlock, type IpBlock, parseIpBlock } from '../match/ip-block.ts';
import type { Program, Provenance, Ruleset } from '../model/program.ts';
import { type LoweringCache, lowerAuthorization } from './authorization.ts';
import type { ProviderSettings } from './custom.ts';
import { lowerJwtProviders } from './jwt-providers.ts';
import type { PolicyFinding } from './lowering.ts';
import { compareBytes, sortPolicies } from './order.ts';
import { strictOnUnknownPeers } from './unknown-peers.ts';

/** What a program is lowered from. */
export interface LowerInput {
  /** The workload's namespace. */
  readonly namespace: string;
  /** Policies that select the workload, in any order. */
  readonly policies: readonly Policy[];
  readonly mesh: MeshConfig & ProviderSettings;
  /** Returns the key of `Bundle.keySets` for one JWT rule. */
  keySetId(rule: JwtRule, source: Provenance): string;
  /** Absent: every policy is lowered again. */
  readonly cache?: LoweringCache;
}

/** A program, and what could not be lowered. */
export interface LowerResult {
  readonly program: Program;
  /** In the order of the policies by age and name; each fault is reported once. */
  readonly findings: readonly PolicyFinding[];
}

function canonicalBlocks(cidrs: readonly string[]): readonly string[] {
  const blocks = cidrs.map(parseIpBlock).filter((block): block is IpBlock => block !== undefined);
  return [...new Set(blocks.map(formatIpBlock))].sort(compareBytes);
}

/** Lowers the policies of one workload. Never throws because of user input; equal sets of policies give equal programs. */
export function lowerPolicies(input: LowerInput): LowerResult {
  const { namespace, policies, mesh } = input;
  const authorization = sortPolicies(policies.filter((policy): policy is AuthorizationPolicy => policy.kind === 'AuthorizationPolicy'));
  const authentication = policies.filter((policy): policy is RequestAuthentication => policy.kind === 'RequestAuthentication');
  const findings: PolicyFinding[] = [];
  const sink = { findings, cache: input.cache };
  const strict = (ruleset: Ruleset): Ruleset => (mesh.peerIdentity.podIP ? strictOnUnknownPeers(ruleset) : ruleset);
  const program: Program = {
    pathNormalization: mesh.pathNormalization,
    trustedProxies: canonicalBlocks(mesh.trustedProxies),
    providers: lowerJwtProviders(authentication, namespace, (rule, source) => input.keySetId(rule, source)),
    http: strict(lowerAuthorization(authorization, 'http', mesh, sink)),
    tcp: strict(lowerAuthorization(authorization, 'tcp', mesh, sink)),
  };
  return { program, findings };
}
