/*
 * The policies that explain, test and diff evaluate, compiled from manifests. bundle-policy-set.ts gives the same from a bundle.
 */

import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, policyKey, workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { compileToFit } from '../../compile/compile-to-fit.ts';
import type { CompileResult } from '../../compile/compile-workload.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import type { PodTraits } from '../../resolve/pod-traits.ts';
import { type Labels, whyNotApplied } from '../../resolve/policy-applies.ts';
import type { ManifestObject } from '../../state/manifests.ts';
import type { KeySetOf } from './key-sets.ts';
import type { Locate } from './locate-field.ts';
import { type LocatedFinding, sortFindings } from './located-finding.ts';
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
  /** Policies in it apply to every namespace; `''`: unknown (bundles). */
  readonly rootNamespace: string;
  /** Of reading and validating, and ports that no pod serves; empty for a bundle. */
  readonly findings: readonly LocatedFinding[];
  /**
   * What is enforced on one workload.
   * @param labels of its pod; undefined: as in its manifest
   * @throws CommandError when the workload does not exist
   */
  readonly target: (workload: string, labels: Labels | undefined) => Target;
  /** Of compiling the targets so far, each once: what is left out of their bundles, or replaced in them. Empty for a bundle. */
  readonly compiledFindings: () => readonly LocatedFinding[];
  /** The sets of labels that pods of the workload have, as far as policies distinguish them. */
  readonly labelSets: (workload: string) => readonly Labels[];
  /** Policies that do not apply to the target, the most likely mistakes first; empty for a bundle. */
  readonly notApplied: (target: Target) => readonly NotApplied[];
  /** The pod's port behind a port that a client dials; undefined: no Service is known for it. */
  readonly servicePort: (target: Target, host: string, port: number) => ServicePort | undefined;
  /** The only port that the pods of the target serve; undefined: unknown, or there are several. */
  readonly ownPort: (target: Target) => number | undefined;
  /** `file:line` of a rule; undefined: unknown. */
  readonly locate: (rule: RuleRef) => string | undefined;
  /** Of the published bundle; absent: the policies are from files. */
  readonly digest?: string;
}

/** The policies and workloads of manifests. */
export function policySetOf(manifests: ReadManifests, mesh: MeshConfig, keySetOf: KeySetOf): PolicySet {
  const offline = createOfflineClusterState(manifests, mesh);
  const { clusterState } = offline;
  const { selection } = clusterState;
  const targets = new Map<string, Target>();
  const compiledFindings: LocatedFinding[] = [];
  const compileTarget = (named: string, labels: Labels | undefined): Target => {
    const ref = resolveWorkload(named, [...selection.workloads()]);
    const own = selection.labelSetsOf(workloadKey(ref));
    // The pods of a workload share one bundle, so that all of them decide what fits.
    const labelSets = labels === undefined ? own : [...own, labels];
    if (labelSets.length === 0) throw unknownWorkload(named, [...selection.workloads()]);
    const policiesFor = (pod: Labels): readonly Policy[] => [...selection.policiesFor(ref.namespace, pod).values()];
    const compiled = compileToFit({ workload: ref, labelSets, policiesFor, mesh, isLocal: true, keySetOf });
    const { bundle } = compiled;
    // Keys behind URLs that were not given are unknown, not missing.
    compiledFindings.push(...offline.reportCompiled(compiled.findings.filter(({ code }) => code !== 'SP_JWKS_UNAVAILABLE')));
    const target = chooseTarget(bundle, labels);
    const isChosen = (pod: Labels): boolean => bundle.relevantLabels.every((key) => pod[key] === target.labels[key]);
    const chosen = { ...target, labels: labels ?? labelSets.find(isChosen) ?? target.labels };
    const caveats = replacementCaveats(policiesFor(chosen.labels), compiled, clusterState);
    return { ...chosen, caveats: [...target.caveats, ...caveats] };
  };
  return {
    workloads: [...selection.workloads()].toSorted(),
    policies: [...clusterState.policies.values()].flatMap(({ active }) => active ?? []),
    rootNamespace: mesh.rootNamespace,
    findings: [...offline.findings, ...portFindings(offline, manifests.objects)],
    target(named, labels) {
      const key = JSON.stringify([named, labels]);
      const target = targets.get(key) ?? compileTarget(named, labels);
      targets.set(key, target);
      return target;
    },
    compiledFindings: () => sortFindings(compiledFindings),
    labelSets: (named) => selection.labelSetsOf(workloadKey(resolveWorkload(named, [...selection.workloads()]))),
    notApplied: ({ workload, labels }) => notAppliedTo({ namespace: parseWorkloadKey(workload).namespace, labels }, offline, mesh),
    servicePort: ({ workload, labels }, host, port) =>
      podPortOf(manifests.objects, { namespace: parseWorkloadKey(workload).namespace, labels, host, port }),
    ownPort: ({ workload }) => onlyPort(selection.traitsOf(workload)),
    locate: ruleLocator(offline.policies, manifests.locate),
  };
}

/** Which of `policies` are over their budget, so that something stricter is enforced in their place. */
function replacementCaveats(
  policies: readonly Policy[],
  { findings }: CompileResult,
  { policies: entries }: OfflineClusterState['clusterState'],
): readonly string[] {
  return policies.flatMap(({ kind, metadata: { namespace, name } }) => {
    const key = policyKey(kind, namespace, name);
    const found = [
      entries.get(key)?.refusal,
      ...findings.filter(({ policy }) => policyKey(policy.kind, policy.namespace, policy.name) === key),
    ];
    const over = found.find((finding) => finding?.code === 'SP_OVER_BUDGET');
    return over === undefined ? [] : [`${kind} ${namespace}/${name} is over its budget: ${over.message}`];
  });
}

/** The only port that all pods serve; undefined: unknown, or there are several. */
export function onlyPort(traits: readonly Pick<PodTraits, 'ports'>[]): number | undefined {
  const ports = new Set(traits.flatMap(({ ports: served = [] }) => served));
  return ports.size === 1 ? [...ports][0] : undefined;
}

type Pod = Parameters<typeof whyNotApplied>[1];

function notAppliedTo(pod: Pod, offline: OfflineClusterState, { rootNamespace }: MeshConfig): readonly NotApplied[] {
  const entryByKey = new Map([...offline.clusterState.policies.values()].map((entry) => [entry.key, entry]));
  return offline.policies
    .flatMap((item): readonly (NotApplied & { readonly distance: number })[] => {
      const { object, origin } = item;
      const namespace = object.metadata.namespace ?? 'default';
      const { active: policy, refusal } = entryByKey.get(policyObjectKey(item)) ?? {};
      const fault = refusal?.code === 'SP_OVER_BUDGET' ? 'over its budget' : 'invalid';
      const reason = policy === undefined ? `it is ${fault}, see its findings` : whyNotApplied(policy, pod, rootNamespace);
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
