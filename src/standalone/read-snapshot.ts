/*
 * Converts the manifests of a directory to cluster state: policies by kind, one pod for each workload, as the cluster would have
 * created it, namespaces, and the workloads that an agent protects, with its addresses.
 */
import { APP_PROTOCOLS, type AppProtocol } from '../api/kube/agent-contract.ts';
import type { WorkloadRef } from '../api/kube/keys.ts';
import {
  ACCEPT_HTTP10_ANNOTATION,
  APP_PROTOCOL_ANNOTATION,
  EXCLUDE_PORTS_ANNOTATION,
  INCLUDE_PORTS_ANNOTATION,
  LISTEN_ANNOTATION,
  REEVALUATE_STREAMS_ANNOTATION,
  SECURITY_GROUP,
  UPSTREAM_ANNOTATION,
} from '../api/kube/names.ts';
import { projectNamespace, projectPod, type SlimNamespace, type SlimPod } from '../api/kube/slim.ts';
import { workloadOf } from '../api/kube/workload.ts';
import type { DirectorySnapshot } from '../state/directory.ts';
import { type KubeManifest, type ManifestFinding, type ManifestObject, manifestError } from '../state/manifests.ts';

/** Where to listen or to connect. */
export interface HostPort {
  /** A host name or an IP address, without brackets. */
  readonly host: string;
  /** 0 to 65535; 0, for listening only, means any free port. */
  readonly port: number;
}

/** A workload that an agent protects. */
export interface GuardedWorkload {
  readonly workload: WorkloadRef;
  readonly labels: Readonly<Record<string, string>>;
  /** Where the agent listens. */
  readonly listen: HostPort;
  /** Where the application listens; policies evaluate this port as the destination port. */
  readonly upstream: HostPort;
  /** Serve clients that speak HTTP/1.0. */
  readonly acceptHttp10: boolean;
  /** Evaluate open streams again. */
  readonly reevaluateStreams: boolean;
  /** What the application speaks. */
  readonly appProtocol: AppProtocol;
}

/** The objects of a directory by their use. */
export interface SnapshotObjects {
  readonly requestAuthentications: readonly KubeManifest[];
  readonly authorizationPolicies: readonly KubeManifest[];
  readonly pods: readonly SlimPod[];
  readonly namespaces: readonly SlimNamespace[];
  readonly guarded: readonly GuardedWorkload[];
  readonly findings: readonly ManifestFinding[];
}

const DEFAULT_LISTEN: HostPort = { host: '127.0.0.1', port: 0 };
const PORT_ANNOTATIONS: ReadonlySet<string> = new Set([INCLUDE_PORTS_ANNOTATION, EXCLUDE_PORTS_ANNOTATION]);
const ANY_NAMESPACE = 'default';

interface Collected {
  readonly requestAuthentications: KubeManifest[];
  readonly authorizationPolicies: KubeManifest[];
  readonly pods: SlimPod[];
  readonly namespaces: SlimNamespace[];
  readonly guarded: GuardedWorkload[];
  readonly findings: ManifestFinding[];
}

/** Sorts the objects of a snapshot by their use. Other kinds (Services, ConfigMaps, …) are ignored. */
export function readSnapshot(snapshot: DirectorySnapshot): SnapshotObjects {
  const into: Collected = {
    requestAuthentications: [],
    authorizationPolicies: [],
    pods: [],
    namespaces: [],
    guarded: [],
    findings: [...snapshot.findings],
  };
  for (const item of snapshot.objects) readObject(item, into);
  return into;
}

function readObject(item: ManifestObject, into: Collected): void {
  const object = withNamespace(item.object);
  if (object.apiVersion.startsWith(`${SECURITY_GROUP}/`)) {
    if (object.kind === 'RequestAuthentication') into.requestAuthentications.push(object);
    if (object.kind === 'AuthorizationPolicy') into.authorizationPolicies.push(object);
  } else if (object.kind === 'Namespace') {
    into.namespaces.push(projectNamespace(object));
  } else {
    const template = podTemplateOf(object);
    if (template !== undefined) readWorkload({ ...item, object }, template, into);
  }
}

function readWorkload(item: ManifestObject, template: Readonly<Record<string, unknown>>, into: Collected): void {
  const { object } = item;
  const annotations = { ...annotationsOf(template), ...annotationsOf(object) };
  const upstreamText = annotations[UPSTREAM_ANNOTATION];
  const ports = Object.fromEntries(Object.entries(annotations).filter(([name]) => PORT_ANNOTATIONS.has(name)));
  const { metadata } = template as { readonly metadata?: Readonly<Record<string, unknown>> };
  const pod = projectPod({
    metadata: {
      ...metadata,
      namespace: object.metadata.namespace,
      // Workloads of several kinds may have one name; no name of a pod has capitals.
      name: object.kind === 'Pod' ? object.metadata.name : `${object.metadata.name}.${object.kind}`,
      annotations: ports,
      ...(object.kind === 'Pod' ? {} : { ownerReferences: [{ controller: true, kind: object.kind, name: object.metadata.name }] }),
    },
    spec: template['spec'],
    status: { phase: 'Running' },
  });
  const upstream = upstreamText === undefined ? undefined : parseHostPort(upstreamText);
  // Here, an annotation of the manifest places the agent, and not containers of the pod. Policies evaluate the port of the upstream,
  // whatever the containers declare.
  const { agent: _agent, ...bare } = pod;
  const served = upstream === undefined ? {} : { ports: [upstream.port] };
  into.pods.push(
    upstreamText === undefined ? bare : { ...bare, ...served, agent: { ports: served.ports ?? pod.ports ?? [], excluded: [], level: 2 } },
  );
  if (upstreamText === undefined) return;
  const protocol = APP_PROTOCOLS.find((known) => known === (annotations[APP_PROTOCOL_ANNOTATION] ?? 'client'));
  const listenText = annotations[LISTEN_ANNOTATION];
  const listen = listenText === undefined ? DEFAULT_LISTEN : parseHostPort(listenText);
  if (upstream === undefined || upstream.port === 0) into.findings.push(badAnnotation(item, UPSTREAM_ANNOTATION, upstreamText));
  else if (protocol === undefined)
    into.findings.push(badAnnotation(item, APP_PROTOCOL_ANNOTATION, annotations[APP_PROTOCOL_ANNOTATION] ?? '', APP_PROTOCOLS.join(', ')));
  else if (listen === undefined) into.findings.push(badAnnotation(item, LISTEN_ANNOTATION, listenText ?? ''));
  else
    into.guarded.push({
      workload: workloadOf(pod),
      labels: pod.labels,
      listen,
      upstream,
      acceptHttp10: annotations[ACCEPT_HTTP10_ANNOTATION] === 'on',
      reevaluateStreams: annotations[REEVALUATE_STREAMS_ANNOTATION] === 'on',
      appProtocol: protocol,
    });
}

/** The pod template of a workload, or the object itself for a Pod; undefined for other kinds. */
function podTemplateOf(object: KubeManifest): Readonly<Record<string, unknown>> | undefined {
  const spec = object['spec'] as
    | { readonly template?: unknown; readonly jobTemplate?: { readonly spec?: { readonly template?: unknown } } }
    | undefined;
  switch (object.kind) {
    case 'Pod':
      return object;
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Job':
      return asRecord(spec?.template);
    case 'CronJob':
      return asRecord(spec?.jobTemplate?.spec?.template);
    default:
      return otherTemplate(asRecord(spec?.template));
  }
}

/** The pod template of a kind of another group, such as Rollout, Service of Knative, DeploymentConfig and CloneSet. */
function otherTemplate(template: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> | undefined {
  const containers = asRecord(template?.['spec'])?.['containers'];
  return Array.isArray(containers) && containers.length > 0 ? template : undefined;
}

/** An object without a namespace belongs to `default`, as with `kubectl apply`. */
function withNamespace(object: KubeManifest): KubeManifest {
  if (object.kind === 'Namespace' || object.metadata.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace: ANY_NAMESPACE } };
}

/**
 * Parses `host:port`, `[v6]:port` or `http://host:port`.
 *
 * @returns undefined when the text has another form
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:http:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})\/?$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

function badAnnotation(item: ManifestObject, annotation: string, value: string, expected = 'host:port'): ManifestFinding {
  const { kind, metadata } = item.object;
  return manifestError(
    item.origin,
    `${kind} ${metadata.namespace ?? ANY_NAMESPACE}/${metadata.name}: annotation ${annotation} is ${JSON.stringify(value)}; ${expected} is expected`,
    'no agent runs for this workload until the annotation is fixed',
  );
}

function annotationsOf(object: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return (asRecord(asRecord(object['metadata'])?.['annotations']) ?? {}) as Readonly<Record<string, string>>;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
