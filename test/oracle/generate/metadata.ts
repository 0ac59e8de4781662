/*
 * Generates what policies of both kinds share: creation time and target references.
 */
import type { Draw } from './draw.ts';

/** Creation time; absent: derived from the position in the case, seconds after the start of 2026. */
export function createdAt(draw: Draw): object {
  return draw.maybe(0.3, () => ({
    creationTimestamp: draw.pick(['2025-12-31T23:59:59Z', '2026-01-01T00:00:01Z', '2026-01-01T00:00:01Z', '2026-02-01T00:00:00Z']),
  }));
}

/** Target references to a gateway or a waypoint, with which a policy does not apply to sidecars. */
export function targetsOf(draw: Draw): object {
  const target = draw.pick<object>([
    { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'app' },
    { group: '', kind: 'Service', name: 'app' },
    { kind: 'Service', name: 'app' },
    { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'app' },
    { group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio-waypoint' },
    { group: 'apps', kind: 'Deployment', name: 'app' },
    { group: 'core', kind: 'Service', name: 'app', namespace: 'foo' },
  ]);
  return draw.pick<object>([{ targetRefs: [target] }, { targetRefs: [target, target] }, { targetRef: target }, { targetRefs: [] }]);
}
