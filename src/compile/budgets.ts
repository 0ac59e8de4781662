/*
 * How much of a bundle policies may take. The shares of one pod add up to what an agent accepts and what its ConfigMaps hold, so that
 * neither kind of policy can keep the other from being published.
 */
import type { MeshConfig } from '../api/mesh-config.ts';
import type { PolicyBudgets, PolicySize } from '../resolve/policy-load.ts';
import { policySize } from './policy-size.ts';

const KIB = 1024;
const MIB = KIB * KIB;

/** What one policy may take. */
export const POLICY_LIMIT: PolicySize = { bytes: 4 * MIB, packedBytes: 768 * KIB, rules: 16_384, values: 160_000 };
/** What the policies of the root namespace may take on any one pod. Admission refuses a policy that would exceed it. */
export const ROOT_SHARE: PolicySize = { bytes: 6 * MIB, packedBytes: 768 * KIB, rules: 32_768, values: 160_000 };
/** What the policies of another namespace may take on any one pod. */
export const NAMESPACE_SHARE: PolicySize = { bytes: 6 * MIB, packedBytes: 896 * KIB, rules: 32_768, values: 160_000 };
/**
 * What the replacements of RequestAuthentications over their budget may take, besides the share: beyond it, a replacement denies every request
 * instead of every token.
 */
export const REPLACEMENT_SHARE: PolicySize = { bytes: 256 * KIB, packedBytes: 64 * KIB, rules: 1024, values: 4096 };
/** Canonical JSON of the key sets in one bundle that were fetched for policies of the root namespace, in bytes; the same for all others. */
export const FETCHED_KEYS_BYTES: number = 128 * KIB;

/** The budgets under the present mesh settings. */
export function createBudgets(mesh: () => MeshConfig): PolicyBudgets {
  return {
    sizeOf: (policy) => policySize(policy, mesh()),
    limit: POLICY_LIMIT,
    shareOf: (namespace) => (namespace === mesh().rootNamespace ? ROOT_SHARE : NAMESPACE_SHARE),
    replacements: REPLACEMENT_SHARE,
  };
}
