/*
 * What a pod's spec and annotations say about its agent: which ports policies see, and why a pod cannot have an agent.
 */
import { EXCLUDE_PORTS_ANNOTATION, INCLUDE_PORTS_ANNOTATION } from './names.ts';
import type { PodAgent } from './pod-agent.ts';
import { ascending, type Fields, fieldsOf, itemsOf } from './pod-fields.ts';

/** Why a pod cannot have an agent. */
export type AgentObstacle = 'host-network' | 'windows' | 'static-pod';

/** Where the obstacle is, and why it is one; static pods have no reason: no webhook sees them first. */
export const OBSTACLES: Readonly<Record<Exclude<AgentObstacle, 'static-pod'>, { readonly path: string; readonly reason: string }>> = {
  windows: { path: 'spec.os.name', reason: 'there is no agent for Windows' },
  'host-network': {
    path: 'spec.hostNetwork',
    reason: 'the pod uses the host network, where connections cannot be redirected to an agent',
  },
};

/** Annotation of the mirror pod of a static pod, which a kubelet creates. */
export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** Why the pod cannot have an agent; undefined when it can. */
export function agentObstacleOf(annotations: Fields, spec: Fields): AgentObstacle | undefined {
  if (annotations[MIRROR_ANNOTATION] !== undefined) return 'static-pod';
  if (spec['hostNetwork'] === true) return 'host-network';
  return fieldsOf(spec['os'])['name'] === 'windows' ? 'windows' : undefined;
}

/**
 * The ports on which an agent of the pod evaluates requests, ascending, as far as they are known: those that the redirect names, or
 * else those that the pod declares. Undefined when neither names a port, so that nothing is known.
 *
 * @param agent undefined: the pod has none
 */
export function servedPortsOf(annotations: Fields, spec: Fields, agent: PodAgent | undefined): readonly number[] | undefined {
  if (agent?.ports !== undefined) return agent.ports;
  const sidecars = itemsOf(spec['initContainers']).filter((container) => container['restartPolicy'] === 'Always');
  const declared = [...itemsOf(spec['containers']), ...sidecars]
    .flatMap((container) => itemsOf(container['ports']))
    .filter((entry) => (entry['protocol'] ?? 'TCP') === 'TCP')
    .map((entry) => entry['containerPort'])
    .filter((port) => typeof port === 'number');
  const ports = new Set([...declared, ...listOf(annotations[INCLUDE_PORTS_ANNOTATION])]);
  if (ports.size === 0) return undefined;
  for (const port of agent?.excluded ?? listOf(annotations[EXCLUDE_PORTS_ANNOTATION])) ports.delete(port);
  return ascending(ports);
}

function listOf(annotation: unknown): readonly number[] {
  if (typeof annotation !== 'string') return [];
  return annotation
    .split(',')
    .filter((part) => /^\s*\d{1,5}\s*$/.test(part))
    .map(Number);
}
