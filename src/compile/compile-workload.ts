/*
 * Policies and pods of one workload in, its bundle out. The same meaning gives the same bundle, whatever the order of the
 * input. Pure; called by reconcile and by the commands that show what would be published.
 */

import type { JwtRule, Policy, RequestAuthentication } from '../api/istio/resources.ts';
import { policyKeyOf, type WorkloadRef } from '../api/kube/keys.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { BUNDLE_SCHEMA, type Bundle, type KeySet, type Variant } from '../bundle/bundle.ts';
import { canonicalJson } from '../bundle/canonical-json.ts';
import { lowerPolicies } from '../policy/lower/lower-policies.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import type { Program } from '../policy/model/program.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import { groupByRelevantLabels } from '../resolve/variants.ts';
import { keySetId } from './key-set-id.ts';
import { collectKeySets } from './key-sets.ts';

export interface CompileInput {
  readonly workload: WorkloadRef;
  /** Labels of each pod of the workload; repeats allowed. None: as for one pod without labels. */
  readonly labelSets: readonly Labels[];
  /** The active policies that apply to a pod of the workload with these labels, in any order; see `Selection.policiesFor`. */
  readonly policiesFor: (labels: Labels) => readonly Policy[];
  readonly mesh: MeshConfig;
  /** Last good keys of a rule that has none inline; undefined: none. The same answer for the same source throughout a call. */
  readonly keySetOf: (rule: JwtRule) => KeySet | undefined;
}

export interface CompileResult {
  readonly bundle: Bundle;
  /** Each once, in a fixed order; paths are within the policy named. */
  readonly findings: readonly PolicyFinding[];
  /** The policies that apply to at least one pod of the workload. */
  readonly selecting: readonly Policy[];
}

/** Compiles the bundle of one workload. Never fails: what cannot be honoured is dropped as Istio drops it, and reported. */
export function compileWorkload(input: CompileInput): CompileResult {
  const { workload, mesh } = input;
  const policiesFor = (labels: Labels): readonly Policy[] => [...input.policiesFor(labels)].sort(byIdentity);
  const { relevantLabels, groups } = groupByRelevantLabels(input.labelSets, policiesFor);
  const programs: Program[] = [];
  const indexByText = new Map<string, number>();
  const findings: PolicyFinding[] = [];
  const variants: Variant[] = [];
  for (const group of groups) {
    const lowered = lowerPolicies({ namespace: workload.namespace, policies: group.policies, mesh, keySetId });
    findings.push(...lowered.findings);
    const text = canonicalJson(lowered.program);
    const index = indexByText.get(text) ?? programs.push(lowered.program) - 1;
    indexByText.set(text, index);
    variants.push({ labels: group.labels, program: index });
  }
  const selecting = [...new Set(groups.flatMap((group) => group.policies))].sort(byIdentity);
  const collected = collectKeySets(selecting.filter(isRequestAuthentication), input.keySetOf);
  return {
    bundle: { schema: BUNDLE_SCHEMA, workload, relevantLabels, variants, programs, keySets: collected.keySets },
    findings: eachOnce([...findings, ...collected.findings]),
    selecting,
  };
}

function isRequestAuthentication(policy: Policy): policy is RequestAuthentication {
  return policy.kind === 'RequestAuthentication';
}

function byIdentity(one: Policy, other: Policy): number {
  const [left, right] = [policyKeyOf(one), policyKeyOf(other)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function eachOnce(findings: readonly PolicyFinding[]): readonly PolicyFinding[] {
  const byText = new Map(findings.map((finding) => [canonicalJson(finding), finding]));
  return [...byText.keys()].sort().flatMap((text) => byText.get(text) ?? []);
}
