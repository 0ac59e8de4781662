/*
 * The objects of a cluster that policies are about, in the form that commands read from files.
 */
import { workloadKey } from '../../api/kube/keys.ts';
import { INCLUDE_PORTS_ANNOTATION } from '../../api/kube/names.ts';
import { projectPod } from '../../api/kube/slim.ts';
import { workloadOf } from '../../api/kube/workload.ts';
import { parseYamlValue } from '../../api/kube/yaml-documents.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { RawMetadata, RawObject } from '../../cluster/kube-object.ts';
import { listObjects } from '../../cluster/list-objects.ts';
import { readObject } from '../../cluster/objects.ts';
import {
  AUTHORIZATION_POLICIES,
  apiVersionOf,
  CONFIG_MAPS,
  NAMESPACES,
  PODS,
  REQUEST_AUTHENTICATIONS,
  type Resource,
  SERVICES,
} from '../../cluster/paths.ts';
import { loadControllerConfig } from '../../config/controller.ts';
import { RefusedError } from '../../errors.ts';
import type { KubeManifest, ManifestObject } from '../../state/manifests.ts';
import { CLUSTER_NAME } from '../input/read-file.ts';
import type { ReadManifests } from '../input/read-manifests.ts';
import { ALWAYS, type LiveSession } from './session.ts';

/** What a command reads of a cluster. */
export interface LiveManifests {
  /** Policies, pods (one for each workload and set of labels), Services and namespaces. Positions are those of {@link CLUSTER_NAME}. */
  readonly manifests: ReadManifests;
  readonly mesh: MeshConfig;
  /** Keys of workloads of which some pod has no agent. */
  readonly unguarded: ReadonlySet<string>;
  /** What could not be read, and what that means; one sentence each. */
  readonly notes: readonly string[];
}

/** Where the chart puts the controller's configuration by default. */
const CONFIG_MAP = { namespace: 'sallyport-system', name: 'sallyport' };

/**
 * Reads the namespace of the session, or all, and the policies of the root namespace.
 * @param given settings of `--config`; undefined: those of the controller in the cluster
 * @throws like the requests of the client; what only adds context may be forbidden
 */
export async function readLiveManifests(session: LiveSession, given: MeshConfig | undefined): Promise<LiveManifests> {
  const notes: string[] = [];
  const mesh = given ?? (await readMesh(session, notes));
  const objects: ManifestObject[] = [];
  const add = (resource: Resource, raw: RawObject): void => void objects.push(manifestOf(resource, raw));
  const { scope } = session;
  for (const resource of [REQUEST_AUTHENTICATIONS, AUTHORIZATION_POLICIES]) {
    await list(session, resource, scope, (raw) => add(resource, raw));
    if (scope === undefined || scope === mesh.rootNamespace) continue;
    const what = `${resource.plural} of the root namespace ${mesh.rootNamespace} are not considered`;
    await ifAllowed(
      list(session, resource, mesh.rootNamespace, (raw) => add(resource, raw)),
      what,
      notes,
    );
  }
  const unguarded = await addPods(session, objects);
  await ifAllowed(
    list(session, SERVICES, scope, (raw) => add(SERVICES, raw)),
    'ports of Services are not considered',
    notes,
  );
  if (scope === undefined) {
    await ifAllowed(
      list(session, NAMESPACES, undefined, (raw) => add(NAMESPACES, raw)),
      'labels of namespaces are not considered',
      notes,
    );
  }
  return {
    manifests: { objects, findings: [], isComplete: true, textByFile: new Map(), locate: () => ({ line: 1, column: 1 }) },
    mesh,
    unguarded,
    notes,
  };
}

/** Thousands of pods of a workload say the same as one. @returns workloads of which some pod has no agent */
async function addPods(session: LiveSession, objects: ManifestObject[]): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  const unguarded = new Set<string>();
  await list(session, PODS, session.scope, (raw) => {
    const pod = projectPod(raw);
    if (pod.phase === 'Succeeded' || pod.phase === 'Failed' || pod.deletionTimestamp !== undefined) return;
    const workload = workloadKey(workloadOf(pod));
    if (pod.agent === undefined) unguarded.add(workload);
    const identity = JSON.stringify([workload, Object.entries(pod.labels).toSorted(), pod.ports]);
    if (seen.has(identity)) return;
    seen.add(identity);
    objects.push(manifestOf(PODS, bareOf(raw, pod.ports)));
  });
  return unguarded;
}

/** The pod without what injection added; what an agent serves is known by now. */
function bareOf(raw: RawObject, ports: readonly number[] | undefined): RawObject {
  const { name, namespace, labels, generateName, ownerReferences } = raw.metadata ?? {};
  const annotations = ports === undefined ? {} : { [INCLUDE_PORTS_ANNOTATION]: ports.join(',') };
  return { metadata: { name, namespace, labels, generateName, ownerReferences, annotations } as RawMetadata, spec: {} };
}

function manifestOf(resource: Resource, raw: RawObject): ManifestObject {
  const { managedFields: _managedFields, ...metadata } = raw.metadata ?? {};
  const object = { ...raw, apiVersion: apiVersionOf(resource), kind: resource.kind, metadata } as KubeManifest;
  return { object, origin: { file: CLUSTER_NAME, line: 1 } };
}

function list(
  { client }: LiveSession,
  resource: Resource,
  namespace: string | undefined,
  visit: (raw: RawObject) => void,
): Promise<unknown> {
  return listObjects(client, { resource, ...(namespace === undefined ? {} : { namespace }) }, visit, ALWAYS);
}

/** A request whose result only adds context. @param consequence of its absence */
async function ifAllowed<T>(request: Promise<T>, consequence: string, notes: string[]): Promise<T | undefined> {
  try {
    return await request;
  } catch (thrown) {
    if (!(thrown instanceof RefusedError) || thrown.code !== 'SP_KUBE_FORBIDDEN') throw thrown;
    notes.push(`${consequence}: ${thrown.sentence ?? thrown.message}`);
    return undefined;
  }
}

/** The mesh settings of the controller, as far as they can be read. */
async function readMesh({ client }: LiveSession, notes: string[]): Promise<MeshConfig> {
  const defaults = (): MeshConfig => loadControllerConfig({ args: [], env: {} }).mesh;
  const ref = { resource: CONFIG_MAPS, ...CONFIG_MAP };
  const found = await ifAllowed(readObject(client, ref, ALWAYS), 'defaults stand for the mesh settings of the controller', notes);
  const text = (found?.['data'] as Readonly<Record<string, unknown>> | undefined)?.['config.yaml'];
  if (typeof text !== 'string') return defaults();
  try {
    const { mesh = {} } = parseYamlValue(text) as { readonly mesh?: unknown };
    return loadControllerConfig({ args: [], env: {}, fileText: JSON.stringify({ mesh }) }).mesh;
  } catch {
    notes.push(
      `defaults stand for the mesh settings of the controller: ConfigMap ${CONFIG_MAP.namespace}/${CONFIG_MAP.name} has invalid ones`,
    );
    return defaults();
  }
}
