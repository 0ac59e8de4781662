/* Pods and policies for the tests of the pipeline. */
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { slimPod } from '../../support/guarded-pods.ts';

/** A pod with an agent, unless the options say otherwise. */
export function pod(
  over: {
    readonly namespace?: string;
    readonly name?: string;
    readonly labels?: object;
    readonly agent?: boolean;
    readonly owner?: object;
    readonly uid?: string;
    readonly ip?: string;
  } = {},
): SlimPod {
  const { namespace = 'foo', name = 'httpbin', labels = { app: 'httpbin' }, agent = true, owner, uid = 'pod-uid', ip } = over;
  const raw = {
    metadata: {
      namespace,
      name,
      uid,
      labels,
      ...(owner === undefined ? {} : { ownerReferences: [{ controller: true, apiVersion: 'apps/v1', uid: 'owner-uid', ...owner }] }),
    },
    status: { phase: 'Running', ...(ip === undefined ? {} : { podIP: ip }) },
  };
  return slimPod(raw, agent);
}

/** A policy that denies GET. */
export function deny(
  name: string,
  over: { readonly namespace?: string; readonly labels?: object; readonly generation?: number } = {},
): object {
  const { namespace = 'foo', labels, generation = 1 } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace, name, generation },
    spec: {
      action: 'DENY',
      rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
      ...(labels === undefined ? {} : { selector: { matchLabels: labels } }),
    },
  };
}
