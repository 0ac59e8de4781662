/*
 * Which policies reach which pods. In: policies and a pod's namespace and labels. Out: the policies that apply. Pure.
 * Called by compile, by the status writer and by `explain`.
 * @see istio pilot/pkg/model/policyattachment.go, authorization.go
 */
import type { Policy, PolicyTargetReference } from '../api/istio/resources.ts';
import { GATEWAY_NAME_LABEL } from '../api/kube/names.ts';

/** A pod's labels. */
export type Labels = Readonly<Record<string, string>>;

const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Can `policy` reach any pod of `namespace`? Policies of the root namespace reach all, others their own. */
export function isInScope(policy: Policy, namespace: string, rootNamespace: string): boolean {
  return policy.metadata.namespace === rootNamespace || policy.metadata.namespace === namespace;
}

/**
 * Does `policy`, which is in scope of `namespace`, apply to a pod there? By selector, or, for the pods of a Gateway API
 * gateway, by `targetRefs`. A policy with `targetRefs` never applies to an ordinary pod; an empty selector selects all.
 */
export function selectsPod(policy: Policy, namespace: string, labels: Labels): boolean {
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
  return `its selector wants ${key}=${value}; the pod ${has}`;
}

/** Has `labels` every pair of `wanted`? Absent or empty `wanted`: yes. */
export function matchesLabels(wanted: Labels | undefined, labels: Labels): boolean {
  if (wanted === undefined) return true;
  for (const key of Object.keys(wanted)) {
    if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  }
  return true;
}

/** Every label key that decides whether one of `policies` applies to a pod; sorted, each once. */
export function relevantLabelKeys(policies: Iterable<Policy>): readonly string[] {
  const keys = new Set<string>();
  for (const { spec } of policies) {
    if (spec.targetRefs !== undefined && spec.targetRefs.length > 0) keys.add(GATEWAY_NAME_LABEL);
    else for (const key of Object.keys(spec.selector?.matchLabels ?? {})) keys.add(key);
  }
  return [...keys].sort();
}

/** Does `ref` name a gateway of the Gateway API, the only target that has pods? */
export function isGatewayTarget(ref: PolicyTargetReference): boolean {
  return ref.group === GATEWAY_GROUP && ref.kind === 'Gateway';
}

function isGateway(ref: PolicyTargetReference, name: string): boolean {
  return isGatewayTarget(ref) && ref.name === name;
}
