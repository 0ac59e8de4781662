/* Pods and policies for the tests of the pipeline. */
import { projectPod, type SlimPod } from '../../../src/api/kube/slim.ts';

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
  return projectPod({
    metadata: {
      namespace,
      name,
      uid,
      labels,
      annotations: agent ? { 'sallyport.dev/agent': '{}' } : {},
      ...(owner === undefined ? {} : { ownerReferences: [{ controller: true, apiVersion: 'apps/v1', uid: 'owner-uid', ...owner }] }),
    },
    status: { phase: 'Running', ...(ip === undefined ? {} : { podIP: ip }) },
  });
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
