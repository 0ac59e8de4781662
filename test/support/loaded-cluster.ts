/*
 * A real API server with many workloads, and a watch of what the controller writes there: for the benchmark of the control plane, and for the
 * test that counts its requests. No kubelet runs the pods.
 */
import type { InjectedFeed } from '../../src/api/kube/agent-contract.ts';
import { workloadKey } from '../../src/api/kube/keys.ts';
import { BUNDLE_LABEL, BUNDLE_TOUCH_ANNOTATION, DIGEST_ANNOTATION, WORKLOAD_LABEL } from '../../src/api/kube/names.ts';
import { projectPod } from '../../src/api/kube/slim.ts';
import { workloadOf } from '../../src/api/kube/workload.ts';
import type { KubeClient } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { AUTHORIZATION_POLICIES, CONFIG_MAPS, collectionPath, NAMESPACES, objectPath, PODS } from '../../src/cluster/paths.ts';
import { createReflector } from '../../src/cluster/reflector.ts';
import { RefusedError, TransientError } from '../../src/errors.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { injected } from './guarded-pods.ts';
import { trustOf } from './policy-cluster.ts';
import { addressOf } from './simulated-agents.ts';

/** How large the cluster is. */
export interface ClusterSize {
  readonly namespaces: number;
  /** Workloads of each namespace. */
  readonly workloads: number;
  /** Pods of each workload. */
  readonly pods: number;
}

/** For a request, on a busy machine. */
const PATIENCE_MS = 60_000;

/** Name of the namespace of a workload. */
export function namespaceOf(size: ClusterSize, workload: number): string {
  return `ns-${Math.floor(workload / size.workloads)}`;
}

/** Key of a workload, by its number. */
export function keyOfWorkload(size: ClusterSize, workload: number): string {
  return workloadKey({ namespace: namespaceOf(size, workload), kind: 'deployment', name: `w${workload}` });
}

/** Keys of all workloads. */
export function allKeys(size: ClusterSize): readonly string[] {
  return Array.from({ length: size.namespaces * size.workloads }, (_, at) => keyOfWorkload(size, at));
}

/** Runs `work` for each number below `count`, `width` at a time. */
export async function parallel(count: number, width: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, run));
}

/** The rules of the policy of a workload; `mark` makes each version another bundle. */
export function workloadSpec(workload: number, mark: string): object {
  const claim = (key: string, values: readonly string[]): object => ({ key: `request.auth.claims[${key}]`, values });
  const from = [{ source: { requestPrincipals: ['testing@secure.istio.io/*'] } }];
  return {
    selector: { matchLabels: { app: `w${workload}` } },
    action: 'ALLOW',
    rules: [
      {
        from,
        to: [{ operation: { methods: ['GET', 'HEAD'], paths: [`/api/w${workload}/*`, `/mark/${mark}`] } }],
        when: [claim('groups', ['readers', 'writers'])],
      },
      {
        from,
        to: [{ operation: { methods: ['POST', 'PUT', 'DELETE'], paths: [`/api/w${workload}/*`] } }],
        when: [claim('groups', ['writers']), claim('iss', ['testing@secure.istio.io'])],
      },
    ],
  };
}

/** The rules of a policy of the whole mesh. */
export function meshSpec(mark: string): object {
  return { action: 'DENY', rules: [{ to: [{ operation: { paths: [`/mesh/${mark}/*`] } }] }] };
}

/** Creates or replaces a policy, as quickly as possible. */
export async function writePolicy(client: KubeClient, place: { namespace: string; name: string }, spec: object): Promise<void> {
  const { namespace, name } = place;
  const object = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec };
  if (await create(client, collectionPath(AUTHORIZATION_POLICIES, namespace), object)) return;
  await client.request({
    method: 'PATCH',
    path: objectPath({ resource: AUTHORIZATION_POLICIES, namespace, name }),
    body: { spec },
    contentType: 'application/merge-patch+json',
    timeoutMs: PATIENCE_MS,
  });
}

/**
 * Creates namespaces, a policy for each workload and one for the mesh, and pods with agents that trust the signing keys of the installation.
 * @param feed of the agents, which can be simulated then: their pods have addresses of this host; absent: they have none
 */
export async function fillCluster(client: KubeClient, size: ClusterSize, feed?: InjectedFeed): Promise<void> {
  const trust = await trustOf(client);
  await parallel(size.namespaces, 16, (at) =>
    create(client, collectionPath(NAMESPACES), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${at}` } }),
  );
  await writePolicy(client, { namespace: 'istio-system', name: 'mesh' }, meshSpec('first'));
  const workloads = size.namespaces * size.workloads;
  await parallel(workloads, 16, (at) =>
    writePolicy(client, { namespace: namespaceOf(size, at), name: `w${at}` }, workloadSpec(at, 'first')),
  );
  await parallel(workloads * size.pods, 32, async (at) => {
    const pod = injected(podOf(size, at), trust, feed) as unknown as RawObject;
    const { namespace = '', name = '' } = pod.metadata ?? {};
    if (!(await create(client, collectionPath(PODS, namespace), pod))) return;
    const podIP =
      feed === undefined ? `10.${128 + Math.floor(at / 62_500)}.${Math.floor(at / 250) % 250}.${(at % 250) + 1}` : addressOf(at);
    await client.request({
      method: 'PATCH',
      path: `${objectPath({ resource: PODS, namespace, name })}/status`,
      body: { status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] } },
      contentType: 'application/merge-patch+json',
      timeoutMs: PATIENCE_MS,
    });
  });
}

/** Name of a pod, by its number among all. */
export function podName(size: ClusterSize, at: number): { readonly namespace: string; readonly name: string } {
  const workload = Math.floor(at / size.pods);
  return { namespace: namespaceOf(size, workload), name: `w${workload}-abc-${at % size.pods}` };
}

function podOf(size: ClusterSize, at: number): object {
  const workload = Math.floor(at / size.pods);
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `w${workload}-abc`, uid: `uid-${workload}`, controller: true };
  const labels = { app: `w${workload}`, version: 'v1', 'pod-template-hash': 'abc' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...podName(size, at), generateName: `w${workload}-abc-`, labels, ownerReferences: [owner] },
    spec: {
      nodeName: `node-${at % 100}`,
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'example.test/app:1', ports: [{ containerPort: 8080 }] }],
    },
  };
}

/** @returns false: it exists */
async function create(client: KubeClient, path: string, body: object): Promise<boolean> {
  try {
    await client.request({ method: 'POST', path, body, timeoutMs: PATIENCE_MS });
    return true;
  } catch (error) {
    if (error instanceof TransientError && error.code === 'SP_KUBE_CONFLICT') return false;
    if (error instanceof RefusedError && error.code === 'SP_KUBE_CONFLICT') return false;
    throw error;
  }
}

/** When the effects of an edit were visible, in milliseconds since it was sent. */
export interface EditTimes {
  readonly firstBundle: number;
  readonly lastBundle: number;
}

/** Follows what the controller writes. */
export interface WrittenWatch {
  /** Bundles by key of their workload: the digest. */
  readonly bundles: ReadonlyMap<string, string>;
  /** Pods by `namespace/name`: their workload, and the digest that they are annotated with. */
  readonly pods: ReadonlyMap<string, { readonly workload: string; readonly digest: string }>;
  /** Number of pods that are not annotated with the digest of the bundle of their workload. */
  readonly untouched: () => number;
  /** Runs an edit and waits until the bundles of `workloads` have changed. */
  readonly edit: (workloads: readonly string[], run: () => Promise<unknown>) => Promise<EditTimes>;
  readonly stop: () => Promise<void>;
}

/** Starts to follow; resolves when everything that exists is known. */
export async function watchWritten(client: KubeClient): Promise<WrittenWatch> {
  const bundles = new Map<string, string>();
  const pods = new Map<string, { workload: string; digest: string }>();
  const listeners = new Set<(workload: string) => void>();
  const setBundle = ([workload, digest]: readonly [string, string]): void => {
    if (bundles.get(workload) === digest) return;
    bundles.set(workload, digest);
    for (const listener of listeners) listener(workload);
  };
  const logger = createLogger({ level: 'error', component: 'watch' });
  const ended = new AbortController();
  const configMaps = createReflector<readonly [string, string]>({
    client,
    logger,
    resource: CONFIG_MAPS,
    labelSelector: BUNDLE_LABEL,
    metadataOnly: true,
    project: bundleOf,
    sink: {
      replace: (all) => [...all.values()].forEach(setBundle),
      upsert: (_key, one) => setBundle(one),
      remove: () => undefined,
    },
  });
  const allPods = createReflector<{ workload: string; digest: string }>({
    client,
    logger,
    resource: PODS,
    metadataOnly: true,
    project: (raw) => ({
      workload: workloadKey(workloadOf(projectPod(raw))),
      digest: raw.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] ?? '',
    }),
    sink: {
      replace: (all) => [...all].forEach(([key, one]) => pods.set(key, one)),
      upsert: (key, one) => void pods.set(key, one),
      remove: (key) => void pods.delete(key),
    },
  });
  const running = [configMaps.run(ended.signal), allPods.run(ended.signal)];
  await Promise.all([configMaps.whenSynced, allPods.whenSynced]);
  return {
    bundles,
    pods,
    untouched: () => [...pods.values()].filter(({ workload, digest }) => bundles.get(workload) !== digest).length,
    edit: async (workloads, run) => {
      const waiting = new Set(workloads);
      const seen: number[] = [];
      const done = Promise.withResolvers<void>();
      const startedMs = performance.now();
      const listener = (workload: string): void => {
        if (waiting.delete(workload)) seen.push(performance.now() - startedMs);
        if (waiting.size === 0) done.resolve();
      };
      listeners.add(listener);
      await run();
      await done.promise;
      listeners.delete(listener);
      return { firstBundle: seen.at(0) ?? Number.NaN, lastBundle: seen.at(-1) ?? Number.NaN };
    },
    stop: async () => {
      ended.abort();
      await Promise.all(running);
    },
  };
}

function bundleOf({ metadata }: RawObject): readonly [string, string] | undefined {
  const { namespace = '', annotations = {} } = metadata ?? {};
  const [workload, digest] = [annotations[WORKLOAD_LABEL], annotations[DIGEST_ANNOTATION]];
  return workload === undefined || digest === undefined ? undefined : [`${namespace}/${workload}`, digest];
}
