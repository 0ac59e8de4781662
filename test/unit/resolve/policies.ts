/* Builders of policies and pods for the tests of resolve and compile. */
import type { AuthorizationPolicy, JwtRule, RequestAuthentication, WorkloadSelector } from '../../../src/api/istio/resources.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { GUARDED } from '../../support/guarded-pods.ts';

interface Place {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export function allow(name: string, place: Place = {}, spec: Partial<AuthorizationPolicy['spec']> = {}): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    metadata: { namespace: place.namespace ?? 'foo', name },
    spec: { ...selector(place), action: 'ALLOW', ...spec },
  };
}

export function tokens(name: string, rules: readonly JwtRule[], place: Place = {}): RequestAuthentication {
  return {
    kind: 'RequestAuthentication',
    metadata: { namespace: place.namespace ?? 'foo', name },
    spec: { ...selector(place), jwtRules: rules },
  };
}

export function podOf(owner: string, labels: Readonly<Record<string, string>>, more: Partial<SlimPod> = {}): SlimPod {
  return {
    namespace: 'foo',
    name: `${owner}-0`,
    labels,
    annotations: {},
    ...GUARDED,
    owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: owner, uid: owner },
    ...more,
  };
}

/** The same pod without its agent. */
export function withoutAgent({ agent: _agent, ...pod }: SlimPod): SlimPod {
  return pod;
}

function selector({ labels }: Place): { readonly selector?: WorkloadSelector } {
  return labels === undefined ? {} : { selector: { matchLabels: labels } };
}
