/*
 * From Istio's resources to a program. In: the policies attached to one workload, and mesh settings. Out: the program
 * and findings about what could not be honoured. Called by the compile room, once per distinct set of policies.
 */
import type { JwtRule, Policy } from '../../api/istio/resources.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Finding } from '../../errors.ts';
import type { Program, Provenance } from '../model/program.ts';

/** A finding and the policy it belongs to. */
export interface PolicyFinding extends Finding {
  readonly policy: { readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy'; readonly namespace: string; readonly name: string };
}

export interface LowerInput {
  /** The workload's namespace. */
  readonly namespace: string;
  /** Policies that select the workload, in any order. */
  readonly policies: readonly Policy[];
  readonly mesh: MeshConfig;
  /** Key of `Bundle.keySets` for one JWT rule. */
  keySetId(rule: JwtRule, source: Provenance): string;
}

/** Lowers the policies of one workload. Never throws on what users write; equal input sets give equal programs. */
export function lowerPolicies(input: LowerInput): { readonly program: Program; readonly findings: readonly PolicyFinding[] } {
  throw new Error(input.namespace);
}
