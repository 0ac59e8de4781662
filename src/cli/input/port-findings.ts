/*
 * Findings on ports that policies name and pods do not serve. `check`, `explain`, `test` and `diff` report them: without them a rule
 * with the port of the Service looks as if it was enforced.
 */
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import { findUnservedPorts } from '../../lint/unserved-ports.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { LocatedFinding } from './located-finding.ts';
import type { OfflineClusterState } from './offline-cluster-state.ts';
import { podPortOf, type ServicePort } from './service-ports.ts';

/** Rules that name a port that none of the selected pods serves. */
export function portFindings(
  { clusterState, reportCompiled }: OfflineClusterState,
  objects: readonly ManifestObject[],
): readonly LocatedFinding[] {
  const { selection, policies } = clusterState;
  const found = [...policies.values()].flatMap(({ key, active: policy }): CompileResult['findings'] => {
    if (policy === undefined) return [];
    const { kind, metadata } = policy;
    const behindService = (port: number): ServicePort | undefined =>
      [...selection.workloadsOf(key)]
        .flatMap((workload) => selection.labelSetsOf(workload).map((labels) => ({ ...parseWorkloadKey(workload), labels })))
        .map(({ namespace, labels }) => podPortOf(objects, { namespace, labels, host: '', port }))
        .find((target) => target !== undefined);
    return findUnservedPorts(policy, { served: () => selection.portsFor(policy), behindService }).map((finding) => ({
      ...finding,
      policy: { kind, namespace: metadata.namespace, name: metadata.name },
    }));
  });
  return reportCompiled(found);
}
