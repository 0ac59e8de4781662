/*
 * Small plain values with the few fields of Pods and Namespaces that Sallyport reads, so that a cache of ten thousand pods
 * stays small. Made from raw objects of the API server or of a file.
 */

import { privilegesOf } from './container-privileges.ts';
import { type AgentRules, type AgentTrust, ANY_AGENT_IMAGE, type PodAgent, readPodAgent } from './pod-agent.ts';
import { type Fields, fieldsOf, itemsOf } from './pod-fields.ts';
import { type AgentObstacle, agentObstacleOf, servedPortsOf } from './pod-traits.ts';
import { workloadIdOf } from './workload.ts';

/** The controlling owner of a pod (the `ownerReferences` entry with `controller: true`). */
export interface SlimOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** The fields of a Pod that Sallyport reads. */
export interface SlimPod {
  readonly namespace: string;
  /** `''` for a pod that is being created and has only a `generateName`. */
  readonly name: string;
  /** Absent for pods from files and while a pod is being created. */
  readonly uid?: string;
  /** `metadata.generateName`, e.g. `httpbin-6b8c9f-`. */
  readonly generateName?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those with the prefix `sallyport.dev/`. */
  readonly annotations: Readonly<Record<string, string>>;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase?: string;
  readonly podIP?: string;
  /** Absent: the pod is not scheduled. */
  readonly nodeName?: string;
  /** The pod shares the addresses of its node; absent: it does not. */
  readonly hostNetwork?: true;
  readonly owner?: SlimOwner;
  /** RFC 3339; present if the pod is being deleted. */
  readonly deletionTimestamp?: string;
  readonly serviceAccount?: string;
  /** Ports on which an agent evaluates requests, ascending; absent: not known, because the pod declares none. */
  readonly ports?: readonly number[];
  /** Why the pod cannot have an agent; absent: it can. */
  readonly obstacle?: AgentObstacle;
  /** The agent that guards the pod; absent: none does. */
  readonly agent?: PodAgent;
  /** What that agent accepts bundles by; absent: no agent, or one that takes unsigned bundles. */
  readonly trust?: AgentTrust;
  /** Why a container with the name of the agent guards nothing; absent: the pod has no such container, or it guards the pod. */
  readonly agentFault?: string;
  /** How the agent of the pod could be bypassed or misled, one phrase each; absent: they cannot, or there is no agent. */
  readonly privileges?: readonly string[];
}

/** The fields of a Namespace that Sallyport reads. */
export interface SlimNamespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly terminating: boolean;
}

/** Prefix of the annotations that {@link projectPod} keeps. */
export const OWN_ANNOTATION_PREFIX = 'sallyport.dev/';

/** A client that may write ConfigMaps there can make an agent like this enforce other policies. */
const UNSIGNED = 'the agent takes unsigned bundles, because an earlier version injected it: replace the pod';

/**
 * The slim form of a Pod, or of a pod template with a namespace. Fields of the wrong type are absent.
 *
 * @param raw a Pod as JSON; the result does not reference it
 * @param rules what counts as an agent
 */
export function projectPod(raw: unknown, rules: AgentRules = ANY_AGENT_IMAGE): SlimPod {
  const pod = fieldsOf(raw);
  const metadata = fieldsOf(pod['metadata']);
  const spec = fieldsOf(pod['spec']);
  const status = fieldsOf(pod['status']);
  const owner = controllerOf(metadata);
  const origin = {
    name: asString(metadata['name']) ?? '',
    ...present('generateName', asString(metadata['generateName'])),
    labels: asStringMap(metadata['labels']),
    ...(owner === undefined ? {} : { owner }),
  };
  const { agent, trust, fault } = readPodAgent(spec, workloadIdOf(origin), rules);
  const privileges = agent === undefined ? [] : [...(agent.level === 1 ? [UNSIGNED] : []), ...privilegesOf(spec)];
  const ports = servedPortsOf(fieldsOf(metadata['annotations']), spec, agent);
  const obstacle = agentObstacleOf(fieldsOf(metadata['annotations']), spec);
  return {
    ...origin,
    namespace: asString(metadata['namespace']) ?? '',
    ...present('uid', asString(metadata['uid'])),
    annotations: asStringMap(metadata['annotations'], OWN_ANNOTATION_PREFIX),
    ...present('phase', asString(status['phase'])),
    ...present('podIP', asString(status['podIP'])),
    ...present('nodeName', asString(spec['nodeName'])),
    ...(spec['hostNetwork'] === true ? { hostNetwork: true as const } : {}),
    ...present('deletionTimestamp', asString(metadata['deletionTimestamp'])),
    ...present('serviceAccount', asString(spec['serviceAccountName'])),
    ...(ports === undefined ? {} : { ports }),
    ...(obstacle === undefined ? {} : { obstacle }),
    ...(agent === undefined ? {} : { agent }),
    ...(trust === undefined ? {} : { trust }),
    ...present('agentFault', fault),
    ...(privileges.length === 0 ? {} : { privileges }),
  };
}

/** The slim form of a Namespace. @param raw a Namespace as JSON; the result does not reference it */
export function projectNamespace(raw: unknown): SlimNamespace {
  const namespace = fieldsOf(raw);
  const metadata = fieldsOf(namespace['metadata']);
  const isTerminating = fieldsOf(namespace['status'])['phase'] === 'Terminating' || metadata['deletionTimestamp'] !== undefined;
  return { name: asString(metadata['name']) ?? '', labels: asStringMap(metadata['labels']), terminating: isTerminating };
}

/** Whether the pod has terminated and no longer serves requests. */
export function isFinished(pod: SlimPod): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

function controllerOf(metadata: Fields): SlimOwner | undefined {
  const reference = itemsOf(metadata['ownerReferences']).find((candidate) => candidate['controller'] === true);
  const kind = asString(reference?.['kind']);
  const name = asString(reference?.['name']);
  if (reference === undefined || kind === undefined || name === undefined) return undefined;
  return { apiVersion: asString(reference['apiVersion']) ?? '', kind, name, uid: asString(reference['uid']) ?? '' };
}

function asString(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function asStringMap(value: unknown, prefix = ''): Record<string, string> {
  const entries = Object.entries(fieldsOf(value)).filter(([key, item]) => typeof item === 'string' && key.startsWith(prefix));
  return Object.fromEntries(entries) as Record<string, string>;
}

function present<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}
