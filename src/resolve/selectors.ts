/*
 * The label selectors of policies, as the index of a namespace lists them.
 */
import type { Policy } from '../api/istio/resources.ts';
import { GATEWAY_NAME_LABEL } from '../api/kube/names.ts';
import { isGatewayTarget, type Labels } from './policy-applies.ts';

/** The selectors of which a pod must match one for the policy to apply; the empty one matches every pod. */
export function selectorsOf({ spec }: Policy): readonly Labels[] {
  const { targetRefs = [], selector } = spec;
  if (targetRefs.length === 0) return [selector?.matchLabels ?? {}];
  return targetRefs.filter(isGatewayTarget).map(({ name }) => ({ [GATEWAY_NAME_LABEL]: name }));
}

/** Equal for equal selectors only. */
export function selectorKey(selector: Labels): string {
  return JSON.stringify(Object.entries(selector).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The distinct selectors of `policies` that do not select every pod, by {@link selectorKey}. */
export function distinctSelectors(policies: Iterable<Policy>): ReadonlyMap<string, Labels> {
  const found = new Map<string, Labels>();
  for (const policy of policies) {
    for (const selector of selectorsOf(policy)) if (Object.keys(selector).length > 0) found.set(selectorKey(selector), selector);
  }
  return found;
}
