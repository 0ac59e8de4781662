/*
 * From the cluster into the world. In: a client. Out: reflectors of the five resources that the controller reads, each
 * feeding its store. Every replica runs them, so that a new leader knows everything already.
 */
import { objectKey, parseObjectKey, policyKey, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_LABEL } from '../api/kube/names.ts';
import { projectNamespace, projectPod } from '../api/kube/slim.ts';
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
import { createReflector, type Reflector, type ReflectorOptions, type ReflectorSink, type RestartReason } from '../cluster/reflector.ts';
import { type ConfigMapSink, isOutdated } from '../delivery/config-map-sink.ts';
import { type ObservedBundle, observeBundle } from '../delivery/observed-bundle.ts';
import type { ClusterState, PolicyKind } from '../state/cluster-state.ts';
import type { StoreInput } from '../state/store.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ReflectOptions {
  readonly client: KubeClient;
  readonly clusterState: ClusterState;
  readonly sink: ConfigMapSink;
  readonly logger: Logger;
  readonly onRestart?: (resource: string, reason: RestartReason) => void;
}

/** One resource's copy; `name` is the plural, as in checks and metrics. */
export interface Informer {
  readonly name: string;
  readonly reflector: Reflector;
}

/** All informers; nothing is read before their reflectors run. */
export function createInformers(options: ReflectOptions): readonly Informer[] {
  const { clusterState, sink } = options;
  return [
    informer(options, REQUEST_AUTHENTICATIONS, {
      project: projectPolicy('RequestAuthentication', REQUEST_AUTHENTICATIONS),
      sink: policySink('RequestAuthentication', clusterState),
    }),
    informer(options, AUTHORIZATION_POLICIES, {
      project: projectPolicy('AuthorizationPolicy', AUTHORIZATION_POLICIES),
      sink: policySink('AuthorizationPolicy', clusterState),
    }),
    informer(options, PODS, { project: projectPod, sink: storeSink(clusterState.pods) }),
    informer(options, NAMESPACES, { project: projectNamespace, sink: storeSink(clusterState.namespaces, (name) => objectKey('', name)) }),
    informer(options, CONFIG_MAPS, { project: observeBundle, sink: bundleSink(sink), labelSelector: BUNDLE_LABEL }),
  ];
}

function informer<T>(
  options: ReflectOptions,
  resource: Resource,
  specific: Pick<ReflectorOptions<T>, 'project' | 'sink' | 'labelSelector'>,
): Informer {
  const { client, logger, onRestart } = options;
  return {
    name: resource.plural,
    reflector: createReflector<T>({
      client,
      logger,
      resource,
      ...specific,
      ...(onRestart === undefined ? {} : { onRestart: (reason: RestartReason) => onRestart(resource.plural, reason) }),
    }),
  };
}

/** Items of a list carry neither kind nor apiVersion; managedFields are the larger half of an object and nobody's business here. */
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

function storeSink<T>(store: StoreInput<T>, storeKeyOf: (key: string) => string = (key) => key): ReflectorSink<T> {
  return {
    replace: (objects) => store.replace(objects.values()),
    upsert: (_key, object) => store.upsert(object),
    remove: (key) => store.remove(storeKeyOf(key)),
  };
}

/** The store's keys are workloads, the reflector's are ConfigMaps; a watch may be behind our own writes. */
function bundleSink(sink: ConfigMapSink): ReflectorSink<ObservedBundle> {
  const workloads = new Map<string, string>();
  const take = (key: string, bundle: ObservedBundle): void => {
    const workload = workloadKey(bundle.workload);
    workloads.set(key, workload);
    if (!isOutdated(sink.observed.get(workload), bundle)) sink.observed.upsert(bundle);
  };
  return {
    replace: (objects) => {
      workloads.clear();
      for (const [key, bundle] of objects) workloads.set(key, workloadKey(bundle.workload));
      sink.observed.replace(objects.values());
    },
    upsert: take,
    remove: (key) => {
      const workload = workloads.get(key);
      workloads.delete(key);
      if (workload !== undefined) sink.observed.remove(workload);
    },
  };
}
