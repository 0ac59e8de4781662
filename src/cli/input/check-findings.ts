/*
 * Everything that `sallyport check` reports about manifests. `sallyport run` shows the same.
 */
import { createRuleProver } from '../../analysis/rule-prover.ts';
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, workloadKey } from '../../api/kube/keys.ts';
import { UPSTREAM_ANNOTATION } from '../../api/kube/names.ts';
import { workloadIdOfOwner } from '../../api/kube/workload.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import { findObjectProblems } from '../../inject/inject-manifest.ts';
import { lintPolicies } from '../../lint/lint-policies.ts';
import { isGatewayTarget } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { type LocatedFinding, locateInObject, sortFindings } from './located-finding.ts';
import { compileAlone, createOfflineClusterState, type OfflineClusterState } from './offline-cluster-state.ts';
import { portFindings } from './port-findings.ts';
import type { ReadManifests } from './read-manifests.ts';

/** The steps of all questions take some 0.3 s. */
const PROVER_LIMITS = { stepsPerQuestion: 100_000, steps: 2_000_000 } as const;

/** The findings of a check. */
export interface CheckResult {
  /** Sorted by position. */
  readonly findings: readonly LocatedFinding[];
  /** Number of policy objects, valid or not. */
  readonly policies: number;
  /** What was checked. */
  readonly offline: OfflineClusterState;
}

/** Validates, compiles and lints the policies of `manifests`. @param onProgress called with what is being done */
export function checkManifests(
  manifests: ReadManifests,
  mesh: MeshConfig,
  onProgress: (text: string) => void = () => undefined,
): CheckResult {
  const offline = createOfflineClusterState(manifests, mesh);
  const findings = sortFindings([
    ...offline.findings,
    ...compiledFindings(offline, mesh, onProgress),
    ...lintFindings(offline, mesh),
    ...portFindings(offline, manifests.objects),
    ...workloadFindings(offline, manifests),
  ]);
  return { findings, policies: offline.policies.length, offline };
}

/** Findings of compiling each workload, and each policy that selects none. Keys behind URLs are not fetched, so they are not missed. */
function compiledFindings(offline: OfflineClusterState, mesh: MeshConfig, onWorkload: (text: string) => void): readonly LocatedFinding[] {
  const { clusterState } = offline;
  const { selection } = clusterState;
  const compiled = [...selection.workloads()].flatMap((workload) => {
    onWorkload(`compiling ${workload}`);
    return offline.compile(parseWorkloadKey(workload)).findings;
  });
  for (const { key, active: policy } of clusterState.policies.values()) {
    if (policy === undefined) continue;
    const scope = policy.metadata.namespace === mesh.rootNamespace ? undefined : policy.metadata.namespace;
    if (selection.workloadsOf(key).size > 0) continue;
    compiled.push(...compileAlone(policy, offline, mesh).findings);
    // Without any workload of the namespace, it is unknown what a policy selects.
    if (selection.workloads(scope).size > 0 && !hasIdleTargetsOnly(policy)) compiled.push(selectsNothing(policy));
  }
  return offline.reportCompiled(compiled.filter((finding) => finding.code !== 'SP_JWKS_UNAVAILABLE'));
}

/** Lint reports the reason for each such target. */
function hasIdleTargetsOnly({ spec: { targetRefs = [] } }: Policy): boolean {
  return targetRefs.length > 0 && !targetRefs.some(isGatewayTarget);
}

/** Likely mistakes in policies that are valid. */
function lintFindings(offline: OfflineClusterState, mesh: MeshConfig): readonly LocatedFinding[] {
  const policies = [...offline.clusterState.policies.values()].flatMap(({ active }) => active ?? []);
  const prover = createRuleProver(mesh.pathNormalization, PROVER_LIMITS);
  return offline.reportCompiled(
    lintPolicies(policies, mesh, prover).flatMap(({ policy: { kind, metadata }, findings }) =>
      findings.map((finding) => ({ ...finding, policy: { kind, namespace: metadata.namespace, name: metadata.name } })),
    ),
  );
}

/** What injection would report about workloads; that there can be no agent only where a policy selects the workload. */
function workloadFindings({ clusterState }: OfflineClusterState, { objects, locate }: ReadManifests): readonly LocatedFinding[] {
  const { selection } = clusterState;
  const all = objects.map(({ object }) => object);
  return objects.flatMap((item) => {
    const { kind, metadata } = item.object;
    const key = workloadKey({ namespace: metadata.namespace ?? 'default', ...workloadIdOfOwner(kind, metadata.name) });
    const isSelected = selection.policiesOf(key).size > 0;
    // `sallyport run` takes the address from the annotation and redirects nothing.
    if (isForRun(item.object)) return [];
    return findObjectProblems(item.object, all)
      .filter(({ code }) => code !== 'SP_NO_AGENT' || isSelected)
      .map((finding) => locateInObject(finding, item, locate));
  });
}

function isForRun({ metadata, spec }: ManifestObject['object']): boolean {
  const { template } = (spec ?? {}) as { readonly template?: { readonly metadata?: unknown } };
  return [metadata, template?.metadata].some((one) => {
    const { annotations } = (one ?? {}) as { readonly annotations?: Readonly<Record<string, unknown>> | null };
    return annotations?.[UPSTREAM_ANNOTATION] !== undefined;
  });
}

function selectsNothing({ kind, metadata: { namespace, name }, spec }: Policy): CompileResult['findings'][number] {
  return {
    policy: { kind, namespace, name },
    code: 'SP_SELECTS_NOTHING',
    severity: 'warning',
    path: spec.targetRefs === undefined ? 'spec.selector' : 'spec.targetRefs',
    message: 'selects none of the workloads in the input',
  };
}
