/*
 * Compiles the policies of one workload to its bundle. The bundle does not depend on the order of policies or pods, so equal
 * policies give equal digests.
 */

import { isDenyingVersion } from '../api/istio/denying-version.ts';
import type { JwtRule, Policy, RequestAuthentication } from '../api/istio/resources.ts';
import { policyKeyOf, type WorkloadRef } from '../api/kube/keys.ts';
import { DRY_RUN_ANNOTATION } from '../api/kube/names.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { BUNDLE_SCHEMA, type Bundle, type KeySet, type Variant } from '../bundle/bundle.ts';
import { canonicalJson, canonicalJsonOfParts } from '../bundle/canonical-json.ts';
import type { ProviderSettings } from '../policy/lower/custom.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import { secretProviders } from '../policy/lower/secret-providers.ts';
import type { Program } from '../policy/model/program.ts';
import type { Labels } from '../resolve/policy-applies.ts';
import { groupByRelevantLabels } from '../resolve/variants.ts';
import { keySetId } from './key-set-id.ts';
import { collectKeySets } from './key-sets.ts';
import { limitFetchedKeys } from './limit-fetched-keys.ts';
import { lowerOnce } from './lower-once.ts';

/** Everything that the bundle of one workload depends on. */
export interface CompileInput {
  readonly workload: WorkloadRef;
  /** Labels of the pods of the workload, duplicates allowed; empty: as for one pod without labels. */
  readonly labelSets: readonly Labels[];
  /** The active policies that apply to a pod of the workload with these labels, in any order; see `Selection.policiesFor`. */
  readonly policiesFor: (labels: Labels) => readonly Policy[];
  readonly mesh: MeshConfig;
  /**
   * The bundle is not published in the workload's namespace, but used where its policies are: it may contain secrets of other namespaces.
   * Absent: false.
   */
  readonly isLocal?: boolean;
  /**
   * Last good keys of a rule without inline keys, of a policy in `namespace`; undefined when it has none. Must return the same keys for
   * the same source and namespace throughout one compilation.
   */
  readonly keySetOf: (rule: JwtRule, namespace: string) => KeySet | undefined;
}

/** A bundle and what compiling it found. */
export interface CompileResult {
  readonly bundle: Bundle;
  /** Without duplicates, in an order that depends only on the findings; each path is relative to the policy that the finding names. */
  readonly findings: readonly PolicyFinding[];
  /** The policies that apply to at least one pod of the workload. */
  readonly selecting: readonly Policy[];
}

/** Compiles the bundle of one workload. Never throws: what cannot be enforced is dropped as Istio drops it, and reported. */
export function compileWorkload(input: CompileInput): CompileResult {
  const { workload } = input;
  const mesh = publishableMesh(input);
  const policiesFor = (labels: Labels): readonly Policy[] => [...input.policiesFor(labels)].sort(byIdentity);
  const { relevantLabels, groups } = groupByRelevantLabels(input.labelSets, policiesFor);
  const programs: Program[] = [];
  const indexByText = new Map<string, number>();
  const findings: PolicyFinding[] = [];
  const variants: Variant[] = [];
  for (const group of groups) {
    const lowered = lowerOnce({ namespace: workload.namespace, policies: withoutRepeatedDenials(group.policies), mesh, keySetId });
    findings.push(...lowered.findings);
    const text = canonicalJsonOfParts(lowered.program);
    const index = indexByText.get(text) ?? programs.push(lowered.program) - 1;
    indexByText.set(text, index);
    variants.push({ labels: group.labels, program: index });
  }
  const selecting = [...new Set(groups.flatMap((group) => group.policies))].sort(byIdentity);
  const authentications = selecting.filter(isRequestAuthentication);
  const collected = collectKeySets(authentications, {
    namespace: input.isLocal === true ? undefined : workload.namespace,
    keySetOf: input.keySetOf,
  });
  const kept = limitFetchedKeys(authentications, collected.keySets, mesh.rootNamespace);
  return {
    bundle: { schema: BUNDLE_SCHEMA, workload, relevantLabels, variants, programs, keySets: kept.keySets },
    findings: eachOnce([...findings, ...collected.findings, ...kept.findings]),
    selecting,
  };
}

/** Where one replacement denies everything, others add nothing but their size. Nothing limits their number. */
function withoutRepeatedDenials(policies: readonly Policy[]): readonly Policy[] {
  const isDenial = (policy: Policy): boolean =>
    isDenyingVersion(policy) &&
    policy.kind === 'AuthorizationPolicy' &&
    policy.spec.action === 'DENY' &&
    policy.metadata.annotations?.[DRY_RUN_ANNOTATION] === undefined;
  const first = policies.find(isDenial);
  return first === undefined ? policies : policies.filter((policy) => policy === first || !isDenial(policy));
}

type PublishableMesh = MeshConfig & ProviderSettings;

/** The settings are the same object until they change. */
const publishable = new WeakMap<MeshConfig, PublishableMesh>();

/** The mesh settings, without the providers whose secrets must not be published in the workload's namespace. */
function publishableMesh({ mesh, workload, isLocal = false }: CompileInput): PublishableMesh {
  if (isLocal || workload.namespace === mesh.rootNamespace) return mesh;
  const settings = publishable.get(mesh) ?? { ...mesh, withheldProviders: secretProviders(mesh) };
  publishable.set(mesh, settings);
  return settings;
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
  if (findings.length < 2) return findings;
  const byText = new Map(findings.map((finding) => [canonicalJson(finding), finding]));
  return [...byText.keys()].sort().flatMap((text) => byText.get(text) ?? []);
}
