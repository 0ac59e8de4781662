/*
 * The informers of the five resources that the controller reads. Policies, pods and namespaces go into the cluster state,
 * ConfigMaps of bundles through the delivery into the workload ledger.
 */
import { objectKey, parseObjectKey, policyKey } from '../api/kube/keys.ts';
import { BUNDLE_LABEL } from '../api/kube/names.ts';
import type { AgentRules } from '../api/kube/pod-agent.ts';
import { projectNamespace, projectPod, type SlimNamespace, type SlimPod } from '../api/kube/slim.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import {
  AUTHORIZATION_POLICIES,
  apiVersionOf,
  CONFIG_MAPS,
  NAMESPACES,
  PODS,
  REQUEST_AUTHENTICATIONS,
  type Resource,
} from '../cluster/paths.ts';
import { createPolledObject } from '../cluster/polled-object.ts';
import { createReflector, type Reflector, type ReflectorOptions, type ReflectorSink, type RestartReason } from '../cluster/reflector.ts';
import type { NamespaceInput, WatchedNamespaces } from '../cluster/watched-namespaces.ts';
import type { ConfigMapDelivery } from '../delivery/config-map-delivery.ts';
import { type DocumentCopy, type DocumentWatch, documentOf } from '../delivery/document-watch.ts';
import type { Copy } from '../delivery/published-copies.ts';
import type { ClusterState, PolicyKind } from '../state/cluster-state.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Where informers read from and report to. */
export interface InformerOptions {
  readonly client: KubeClient;
  readonly clusterState: ClusterState;
  readonly delivery: Pick<ConfigMapDelivery, 'project' | 'sink'>;
  readonly documents: Pick<DocumentWatch, 'sink'>;
  /** Where pods go. */
  readonly podSink: ReflectorSink<SlimPod>;
  /** What counts as an agent. */
  readonly agentRules: AgentRules;
  /** Namespaces to read; absent: the whole cluster. */
  readonly namespaces?: WatchedNamespaces;
  readonly logger: Logger;
  readonly onRestart?: (resource: string, reason: RestartReason) => void;
}

/** One resource's cache; `name` is the plural, as in checks and metrics. */
export interface Informer {
  readonly name: string;
  readonly reflector: Reflector;
}

/** All informers; they read nothing before their reflectors run. */
export function createInformers(options: InformerOptions): readonly Informer[] {
  const { clusterState, podSink, agentRules } = options;
  // In this order a namespace joins those that are watched: what is published there, policies, and at last the pods that need both.
  return [
    informer(options, CONFIG_MAPS, { ...configMaps(options), labelSelector: BUNDLE_LABEL }),
    informer(options, NAMESPACES, { project: projectNamespace, sink: namespaceSink(clusterState) }),
    informer(options, REQUEST_AUTHENTICATIONS, {
      project: projectPolicy('RequestAuthentication', REQUEST_AUTHENTICATIONS),
      sink: policySink('RequestAuthentication', clusterState),
    }),
    informer(options, AUTHORIZATION_POLICIES, {
      project: projectPolicy('AuthorizationPolicy', AUTHORIZATION_POLICIES),
      sink: policySink('AuthorizationPolicy', clusterState),
    }),
    informer(options, PODS, { project: (raw) => projectPod(raw, agentRules), sink: podSink }),
  ];
}

function informer<T>(
  options: InformerOptions,
  resource: Resource,
  specific: Pick<ReflectorOptions<T>, 'project' | 'sink' | 'labelSelector'>,
): Informer {
  const { client, logger, namespaces, onRestart } = options;
  const common = {
    client,
    logger,
    resource,
    ...specific,
    ...(onRestart === undefined ? {} : { onRestart: (reason: RestartReason) => onRestart(resource.plural, reason) }),
  };
  const name = resource.plural;
  if (namespaces === undefined) return { name, reflector: createReflector<T>(common) };
  const create = (namespace: string, input: NamespaceInput<T>): Reflector =>
    resource.namespaced
      ? createReflector<T>({ ...common, ...input, namespace })
      : createPolledObject<T>({ ...common, ...input, ref: { resource, name: namespace } });
  return { name, reflector: namespaces.mirror(name, specific.sink, create) };
}

/** Adds kind and apiVersion, which items of a list lack; drops managedFields, the larger half of an object, which nothing reads. */
function projectPolicy(kind: PolicyKind, resource: Resource): (raw: RawObject) => RawObject {
  return (raw) => {
    const { managedFields: _managedFields, ...metadata } = raw.metadata ?? {};
    return { ...raw, apiVersion: apiVersionOf(resource), kind, metadata };
  };
}

function policySink(kind: PolicyKind, clusterState: ClusterState): ReflectorSink<RawObject> {
  return {
    replace: (objects) => clusterState.replacePolicies(kind, objects.values()),
    upsert: (_key, raw) => clusterState.upsertPolicy(raw),
    remove: (key) => {
      const { namespace, name } = parseObjectKey(key);
      clusterState.removePolicy(policyKey(kind, namespace, name));
    },
  };
}

/** Bundles, and the signed documents of namespaces, which have the same label. */
function configMaps({ delivery, documents }: InformerOptions): Pick<ReflectorOptions<Copy | DocumentCopy>, 'project' | 'sink'> {
  return {
    project: (raw) => documentOf(raw) ?? delivery.project(raw),
    sink: {
      replace: (objects, resourceVersion) => {
        delivery.sink.replace(copiesIn(objects), resourceVersion);
        documents.sink.replace(documentsIn(objects), resourceVersion);
      },
      replaceIn: (namespace, objects, resourceVersion) => {
        delivery.sink.replaceIn?.(namespace, copiesIn(objects), resourceVersion);
        documents.sink.replaceIn?.(namespace, documentsIn(objects), resourceVersion);
      },
      upsert: (key, one) => ('copy' in one ? delivery.sink.upsert(key, one) : documents.sink.upsert(key, one)),
      remove: (key) => {
        delivery.sink.remove(key);
        documents.sink.remove(key);
      },
    },
  };
}

function copiesIn(objects: ReadonlyMap<string, Copy | DocumentCopy>): ReadonlyMap<string, Copy> {
  return new Map([...objects].flatMap(([key, one]) => ('copy' in one ? [[key, one] as const] : [])));
}

function documentsIn(objects: ReadonlyMap<string, Copy | DocumentCopy>): ReadonlyMap<string, DocumentCopy> {
  return new Map([...objects].flatMap(([key, one]) => ('copy' in one ? [] : [[key, one] as const])));
}

function namespaceSink({ namespaces }: ClusterState): ReflectorSink<SlimNamespace> {
  return {
    replace: (objects) => namespaces.replace(objects.values()),
    upsert: (_key, namespace) => namespaces.upsert(namespace),
    remove: (name) => namespaces.remove(objectKey('', name)),
  };
}
