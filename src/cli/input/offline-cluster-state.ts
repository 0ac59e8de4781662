/*
 * The cluster state that a set of manifests describes, without a cluster: the same `ClusterState` that the controller keeps, the
 * findings of each policy with their positions, and a way to compile. For check, compile and the commands that evaluate requests.
 */

import { policyFindings } from '../../api/istio/accept-policy.ts';
import type { Policy } from '../../api/istio/resources.ts';
import { policyKey, type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import { GATEWAY_NAME_LABEL, SECURITY_GROUP } from '../../api/kube/names.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { createBudgets } from '../../compile/budgets.ts';
import { compileToFit, type FittedBundle } from '../../compile/compile-to-fit.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import type { Finding, Severity } from '../../errors.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { readSnapshot } from '../../standalone/read-snapshot.ts';
import { type ClusterState, createClusterState } from '../../state/cluster-state.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { type LocatedFinding, listedFindings, locateInFile, locateInObject } from './located-finding.ts';
import type { ReadManifests } from './read-manifests.ts';

const POLICY_KINDS = ['RequestAuthentication', 'AuthorizationPolicy'] as const;

/** Cluster state from manifests. */
export interface OfflineClusterState {
  readonly clusterState: ClusterState;
  /** Every policy object, including invalid ones. */
  readonly policies: readonly ManifestObject[];
  /** Of reading files and validating objects and policies; not of compiling. */
  readonly findings: readonly LocatedFinding[];
  /** Compiles the policies of a workload. Nothing is fetched: a rule whose keys are behind a URL has no keys. */
  readonly compile: (workload: WorkloadRef) => FittedBundle;
  /** Locates findings of a compilation in their files; those of invalid policies are dropped, because validation reported them. */
  readonly reportCompiled: (findings: CompileResult['findings']) => readonly LocatedFinding[];
}

/** Groups whose objects restrict access; those other than the first are of Istio before 1.6. */
const SECURITY_GROUPS = /^(?:security|rbac|authentication)\.istio\.io\//;

/** The cluster state of `manifests`. Every workload counts as one with an agent. */
export function createOfflineClusterState(manifests: ReadManifests, mesh: MeshConfig): OfflineClusterState {
  const { locate } = manifests;
  const policies = manifests.objects.filter(({ object }) => isPolicy(object.kind, object.apiVersion));
  const objectByKey = new Map(policies.map((item) => [policyObjectKey(item), item]));
  const snapshot = readSnapshot({ objects: manifests.objects, findings: [] });
  const clusterState = createClusterState(() => mesh, { source: 'manifest', budgets: createBudgets(() => mesh) });
  for (const namespace of snapshot.namespaces) clusterState.namespaces.upsert(namespace);
  for (const pod of snapshot.pods) {
    clusterState.pods.upsert({ ...pod, agent: pod.agent ?? { ports: undefined, excluded: [], level: 2 } });
  }
  const invalid = new Set<string>();
  const findings = [...manifests.findings, ...snapshot.findings].map((finding) => locateInFile(finding, finding.origin));
  for (const item of manifests.objects) {
    const { kind, apiVersion } = item.object;
    if (!SECURITY_GROUPS.test(apiVersion) || isPolicy(kind, apiVersion)) continue;
    findings.push(locateInObject(notEnforced(item.object.kind), item, locate));
  }
  for (const item of policies) {
    const found = policyFindings(item.object, 'manifest');
    if (found.some((finding) => finding.severity === 'error')) invalid.add(policyObjectKey(item));
    for (const finding of listedFindings(found)) findings.push(locateInObject(finding, item, locate));
  }
  const valid = policies.filter((item) => !invalid.has(policyObjectKey(item))).map(({ object }) => object);
  for (const kind of POLICY_KINDS) {
    const ofKind = valid.filter((object) => object.kind === kind);
    clusterState.replacePolicies(kind, ofKind);
  }
  for (const { key, refusal } of clusterState.policies.values()) {
    const item = objectByKey.get(key);
    if (refusal !== undefined && item !== undefined) findings.push(locateInObject(refusal, item, locate));
  }
  return {
    clusterState,
    policies,
    findings,
    compile: (workload) => compileOffline(workload, clusterState.selection.selectableSetsOf(workloadKey(workload)), { clusterState, mesh }),
    reportCompiled: (compiled) =>
      listedByPolicy(compiled).flatMap((finding) => {
        const { kind, namespace, name } = finding.policy;
        const key = policyKey(kind, namespace, name);
        const item = objectByKey.get(key);
        return item === undefined || invalid.has(key) || clusterState.policies.get(key)?.refusal !== undefined
          ? []
          : [locateInObject(finding, item, locate)];
      }),
  };
}

/** The lowest severity that makes a command fail; info findings never do. */
export type FailOn = Exclude<Severity, 'info'>;

/** The exit code of a command that examined `manifests`. */
export function exitCodeOf(manifests: ReadManifests, findings: readonly LocatedFinding[], failOn: FailOn): number {
  // Unreadable input takes precedence, because then not everything was examined.
  if (!manifests.isComplete) return EXIT_BAD_DATA;
  return findings.some((finding) => finding.severity === 'error' || finding.severity === failOn) ? EXIT_FINDINGS : EXIT_OK;
}

/** Compiles a policy for a synthetic pod that it selects, so that a policy without a workload is checked too. */
export function compileAlone(policy: Policy, offline: OfflineClusterState, mesh: MeshConfig): CompileResult {
  const { targetRefs, selector } = policy.spec;
  const [target] = targetRefs ?? [];
  const labels: Labels = target === undefined ? (selector?.matchLabels ?? {}) : { [GATEWAY_NAME_LABEL]: target.name };
  const workload = { namespace: policy.metadata.namespace, kind: 'pod', name: policy.metadata.name };
  return compileOffline(workload, [labels], { clusterState: offline.clusterState, mesh });
}

function compileOffline(
  workload: WorkloadRef,
  labelSets: Iterable<Labels>,
  { clusterState, mesh }: { readonly clusterState: ClusterState; readonly mesh: MeshConfig },
): FittedBundle {
  const policiesFor = (labels: Labels): readonly Policy[] => [...clusterState.selection.policiesFor(workload.namespace, labels).values()];
  return compileToFit({ workload, labelSets: [...labelSets], policiesFor, mesh, isLocal: true, keySetOf: () => undefined });
}

function listedByPolicy(compiled: CompileResult['findings']): CompileResult['findings'] {
  const byPolicy = Map.groupBy(compiled, ({ policy: { kind, namespace, name } }) => policyKey(kind, namespace, name));
  return [...byPolicy.values()].flatMap(listedFindings);
}

function notEnforced(kind: string): Finding {
  return { code: 'SP_MANIFEST', severity: 'warning', path: 'kind', message: `${kind} is not enforced without Istio` };
}

function isPolicy(kind: string, apiVersion: string): boolean {
  return apiVersion.startsWith(`${SECURITY_GROUP}/`) && (kind === 'RequestAuthentication' || kind === 'AuthorizationPolicy');
}

/** The key of a policy object in `ClusterState.policies`. */
export function policyObjectKey({ object }: ManifestObject): string {
  const kind = object.kind === 'RequestAuthentication' ? 'RequestAuthentication' : 'AuthorizationPolicy';
  return policyKey(kind, object.metadata.namespace ?? 'default', object.metadata.name);
}
