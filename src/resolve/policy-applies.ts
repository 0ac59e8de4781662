/*
 * Whether one policy applies to one pod, as Istio decides it.
 * @see istio pilot/pkg/model/policyattachment.go, authorization.go
 */
import type { Policy, PolicyTargetReference } from '../api/istio/resources.ts';
import { GATEWAY_NAME_LABEL } from '../api/kube/names.ts';

/** A pod's labels. */
export type Labels = Readonly<Record<string, string>>;

/** A policy, as far as it decides which pods it applies to. */
export interface SelectingPolicy {
  readonly metadata: Pick<Policy['metadata'], 'namespace' | 'name'>;
  readonly spec: Pick<Policy['spec'], 'selector' | 'targetRefs'>;
}

const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Whether `policy` can apply to pods of `namespace`: a policy of the root namespace to all pods, others to those of their namespace. */
export function isInScope(policy: SelectingPolicy, namespace: string, rootNamespace: string): boolean {
  return policy.metadata.namespace === rootNamespace || policy.metadata.namespace === namespace;
}

/**
 * Whether `policy`, which is in scope of `namespace` ({@link isInScope}), applies to a pod there: by its selector, or by
 * `targetRefs` to the pods of a Gateway API gateway. A policy with `targetRefs` never applies to an ordinary pod. An absent or empty
 * selector selects all pods.
 */
export function selectsPod(policy: SelectingPolicy, namespace: string, labels: Labels): boolean {
  const { targetRefs, selector } = policy.spec;
  if (targetRefs !== undefined && targetRefs.length > 0) {
    const gateway = labels[GATEWAY_NAME_LABEL];
    return gateway !== undefined && policy.metadata.namespace === namespace && targetRefs.some((ref) => isGateway(ref, gateway));
  }
  return matchesLabels(selector?.matchLabels, labels);
}

/** Why `policy` does not apply to `pod`, in a sentence; `undefined` when it applies. */
export function whyNotApplied(
  policy: Policy,
  pod: { readonly namespace: string; readonly labels: Labels },
  rootNamespace: string,
): string | undefined {
  const { namespace } = policy.metadata;
  const { targetRefs, selector } = policy.spec;
  if (!isInScope(policy, pod.namespace, rootNamespace)) {
    return `it is in namespace ${namespace}; pods of ${pod.namespace} get policies of ${pod.namespace} and of the root namespace ${rootNamespace}`;
  }
  if (selectsPod(policy, pod.namespace, pod.labels)) return undefined;
  if (targetRefs !== undefined && targetRefs.length > 0) {
    const [ref] = targetRefs;
    return `targetRefs names ${ref?.kind ?? ''} ${ref?.name ?? ''}, and the pod is not one of its pods`;
  }
  const [key = '', value = ''] = Object.entries(selector?.matchLabels ?? {}).find(([label, wanted]) => pod.labels[label] !== wanted) ?? [];
  const has = Object.hasOwn(pod.labels, key) ? `has ${key}=${pod.labels[key] ?? ''}` : `has no label ${key}`;
  return `its selector requires ${key}=${value}; the pod ${has}`;
}

/** Whether `labels` contains every pair of `wanted`; true when `wanted` is absent or empty. */
export function matchesLabels(wanted: Labels | undefined, labels: Labels): boolean {
  if (wanted === undefined) return true;
  for (const key of Object.keys(wanted)) {
    if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  }
  return true;
}

/** The label keys that decide whether one of `policies` applies to a pod; sorted, without duplicates. */
export function relevantLabelKeys(policies: Iterable<Policy>): readonly string[] {
  const keys = new Set<string>();
  for (const { spec } of policies) {
    if (spec.targetRefs !== undefined && spec.targetRefs.length > 0) keys.add(GATEWAY_NAME_LABEL);
    else for (const key of Object.keys(spec.selector?.matchLabels ?? {})) keys.add(key);
  }
  return [...keys].sort();
}

/** Whether `ref` names a Gateway API gateway, the only kind of target that has pods. */
export function isGatewayTarget(ref: PolicyTargetReference): boolean {
  return ref.group === GATEWAY_GROUP && ref.kind === 'Gateway';
}

function isGateway(ref: PolicyTargetReference, name: string): boolean {
  return isGatewayTarget(ref) && ref.name === name;
}
