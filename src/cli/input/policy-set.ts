/*
 * The policies that explain, test and diff evaluate, compiled from manifests. bundle-policy-set.ts gives the same from a bundle.
 */

import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { compileWorkload } from '../../compile/compile-workload.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import type { PodTraits } from '../../resolve/pod-traits.ts';
import { type Labels, whyNotApplied } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { KeySetOf } from './key-sets.ts';
import type { Locate } from './locate-field.ts';
import type { LocatedFinding } from './located-finding.ts';
import { createOfflineClusterState, type OfflineClusterState, policyObjectKey } from './offline-cluster-state.ts';
import { chooseTarget, type Target, unknownWorkload } from './policy-target.ts';
import { portFindings } from './port-findings.ts';
import type { ReadManifests } from './read-manifests.ts';
import { podPortOf, type ServicePort } from './service-ports.ts';
import { resolveWorkload } from './workload-argument.ts';

/** A policy that does not apply to a workload. Printed as JSON with these member names. */
export interface NotApplied {
  /** `Kind namespace/name`. */
  readonly policy: string;
  /** `file:line`. */
  readonly where: string;
  /** One sentence. */
  readonly reason: string;
}

/** Policies and workloads of one source. */
export interface PolicySet {
  /** `namespace/kind/name`, sorted. */
  readonly workloads: readonly string[];
  /** Every valid policy, including those that select nothing; undefined: unknown (bundles). */
  readonly policies: readonly Policy[] | undefined;
  /** Of reading and validating, and ports that no pod serves; empty for a bundle. */
  readonly findings: readonly LocatedFinding[];
  /**
   * What is enforced on one workload.
   * @param labels of its pod; undefined: as in its manifest
   * @throws CommandError when the workload does not exist
   */
  readonly target: (workload: string, labels: Labels | undefined) => Target;
  /** Policies that do not apply to the target, the most likely mistakes first; empty for a bundle. */
  readonly notApplied: (target: Target) => readonly NotApplied[];
  /** The pod's port behind a port that a client dials; undefined: no Service is known for it. */
  readonly servicePort: (target: Target, host: string, port: number) => ServicePort | undefined;
  /** The only port that the pods of the target serve; undefined: unknown, or there are several. */
  readonly ownPort: (target: Target) => number | undefined;
  /** `file:line` of a rule; undefined: unknown. */
  readonly locate: (rule: RuleRef) => string | undefined;
}

/** The policies and workloads of manifests. */
export function policySetOf(manifests: ReadManifests, mesh: MeshConfig, keySetOf: KeySetOf): PolicySet {
  const offline = createOfflineClusterState(manifests, mesh);
  const { clusterState } = offline;
  const { selection } = clusterState;
  return {
    workloads: [...selection.workloads()].toSorted(),
    policies: [...clusterState.policies.values()].flatMap(({ active }) => active ?? []),
    findings: [...offline.findings, ...portFindings(offline, manifests.objects)],
    target(named, labels) {
      const ref = resolveWorkload(named, [...selection.workloads()]);
      const workload = workloadKey(ref);
      const labelSets = labels === undefined ? selection.labelSetsOf(workload) : [labels];
      if (labelSets.length === 0) throw unknownWorkload(named, [...selection.workloads()]);
      const policiesFor = (own: Labels): readonly Policy[] => [...selection.policiesFor(ref.namespace, own).values()];
      const { bundle } = compileWorkload({ workload: ref, labelSets, policiesFor, mesh, isLocal: true, keySetOf });
      const target = chooseTarget(bundle, labels);
      const isChosen = (own: Labels): boolean => bundle.relevantLabels.every((key) => own[key] === target.labels[key]);
      return { ...target, labels: labelSets.find(isChosen) ?? target.labels };
    },
    notApplied: ({ workload, labels }) => notAppliedTo({ namespace: parseWorkloadKey(workload).namespace, labels }, offline, mesh),
    servicePort: ({ workload, labels }, host, port) =>
      podPortOf(manifests.objects, { namespace: parseWorkloadKey(workload).namespace, labels, host, port }),
    ownPort: ({ workload }) => onlyPort(selection.traitsOf(workload)),
    locate: ruleLocator(offline.policies, manifests.locate),
  };
}

function onlyPort(traits: readonly PodTraits[]): number | undefined {
  const ports = new Set(traits.flatMap(({ ports: served = [] }) => served));
  return ports.size === 1 ? [...ports][0] : undefined;
}

type Pod = Parameters<typeof whyNotApplied>[1];

function notAppliedTo(pod: Pod, offline: OfflineClusterState, { rootNamespace }: MeshConfig): readonly NotApplied[] {
  const validByKey = new Map([...offline.clusterState.policies.values()].map((entry) => [entry.key, entry.active]));
  return offline.policies
    .flatMap((item): readonly (NotApplied & { readonly distance: number })[] => {
      const { object, origin } = item;
      const namespace = object.metadata.namespace ?? 'default';
      const policy = validByKey.get(policyObjectKey(item));
      const reason = policy === undefined ? 'it is invalid, see its findings' : whyNotApplied(policy, pod, rootNamespace);
      if (reason === undefined) return [];
      const distance = policy === undefined ? 0 : namespace === pod.namespace ? 1 : 2;
      return [{ policy: `${object.kind} ${namespace}/${object.metadata.name}`, where: `${origin.file}:${origin.line}`, reason, distance }];
    })
    .toSorted((one, other) => one.distance - other.distance)
    .map(({ policy, where, reason }) => ({ policy, where, reason }));
}

/** Finds policies through a map by name, because there may be thousands. */
function ruleLocator(policies: readonly ManifestObject[], locate: Locate): PolicySet['locate'] {
  const itemByName = new Map(
    policies.map((item) => [`${item.object.kind} ${item.object.metadata.namespace ?? 'default'}/${item.object.metadata.name}`, item]),
  );
  return ({ kind, policy, rule }) => {
    const item = itemByName.get(`${kind} ${policy}`);
    if (item === undefined) return undefined;
    const field = kind === 'RequestAuthentication' ? 'jwtRules' : 'rules';
    return `${item.origin.file}:${locate(item, `spec.${field}[${rule}]`).line}`;
  };
}
