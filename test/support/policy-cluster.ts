/*
 * Helpers for tests of the controller on an API server: create CRDs, namespaces and pods as plain objects, and read the
 * objects that the controller writes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { InjectedFeed } from '../../src/api/kube/agent-contract.ts';
import { SIGNING_KEYS_SECRET, SLOT_PART_KEY } from '../../src/api/kube/names.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import type { RawObject, WrittenObject } from '../../src/cluster/kube-object.ts';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import {
  AUTHORIZATION_POLICIES,
  CONFIG_MAPS,
  collectionPath,
  EVENTS,
  objectPath,
  PODS,
  REQUEST_AUTHENTICATIONS,
  SECRETS,
} from '../../src/cluster/paths.ts';
import type { InjectedTrust } from '../../src/inject/settings.ts';
import { keysIn } from '../../src/keys/key-store.ts';
import { signerOf } from '../../src/keys/signing-keys.ts';
import { applyObject } from './apply-object.ts';
import { until } from './fake-clock.ts';
import { injected, TRUST } from './guarded-pods.ts';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

type Kind = 'RequestAuthentication' | 'AuthorizationPolicy';

export interface PodWish {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default true. */
  readonly agent?: boolean;
  /** IP address in the status; default 10.0.0.1. Null: not assigned yet. */
  readonly ip?: string | null;
  /** Absent: the agent has no feed. */
  readonly feed?: InjectedFeed;
  /** Absent: that of pods with a feed is `default`, and others have none. */
  readonly serviceAccount?: string;
}

export interface PolicyCluster {
  readonly client: KubeClient;
  readonly apply: (object: WrittenObject) => Promise<RawObject>;
  readonly namespace: (name: string) => Promise<void>;
  readonly pod: (wish: PodWish) => Promise<void>;
  readonly deletePod: (namespace: string, name: string) => Promise<void>;
  readonly readPod: (namespace: string, name: string) => Promise<RawObject | undefined>;
  readonly policy: (kind: Kind, name: string, namespace: string, spec: object) => Promise<RawObject>;
  readonly deletePolicy: (kind: Kind, name: string, namespace: string) => Promise<void>;
  readonly configMap: (namespace: string, name: string) => Promise<RawObject | undefined>;
  /** The bundle in a ConfigMap, of a bare pod when the kind is absent; undefined when it does not exist. */
  readonly bundle: (namespace: string, workload: string, kind?: string, slot?: number) => Promise<Bundle | undefined>;
  readonly condition: (kind: Kind, name: string, namespace: string, type: string) => Promise<Condition | undefined>;
  readonly events: (namespace: string) => Promise<readonly RawObject[]>;
  readonly close: () => Promise<void>;
}

const CRDS = new URL('../../crds/', import.meta.url);
const RESOURCES = { RequestAuthentication: REQUEST_AUTHENTICATIONS, AuthorizationPolicy: AUTHORIZATION_POLICIES };

/** What the namespace of the controller demands of its pods. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** A cluster with our CRDs established. */
export async function openPolicyCluster(kubeconfig: string): Promise<PolicyCluster> {
  const client = createKubeClient({ kubeconfig, version: 'test', qps: 1000, burst: 1000 });
  const apply = (object: WrittenObject): Promise<RawObject> => applyObject(client, object);
  for (const file of readdirSync(CRDS)) await apply(parse(readFileSync(new URL(file, CRDS), 'utf8')) as WrittenObject);
  for (const resource of Object.values(RESOURCES)) {
    await until(
      () =>
        client.request({ method: 'GET', path: collectionPath(resource) }).then(
          () => true,
          () => false,
        ),
      `${resource.plural} to be served`,
      15_000,
    );
  }
  const configMap = (namespace: string, name: string): Promise<RawObject | undefined> =>
    readObject(client, { resource: CONFIG_MAPS, namespace, name });
  return {
    client,
    apply,
    namespace: async (name) => void (await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    pod: (wish) => makePod(client, apply, wish),
    deletePod: async (namespace, name) => {
      const path = objectPath({ resource: PODS, namespace, name });
      await client.request({ method: 'DELETE', path, body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 } });
    },
    readPod: (namespace, name) => readObject(client, { resource: PODS, namespace, name }),
    policy: (kind, name, namespace, spec) => apply({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace }, spec }),
    deletePolicy: async (kind, name, namespace) => void (await deleteObject(client, { resource: RESOURCES[kind], namespace, name })),
    configMap,
    bundle: async (namespace, workload, kind = 'pod', slot = 0) => {
      const data = (await configMap(namespace, `sallyport-bundle-${kind}.${workload}.${slot}`))?.['data'] as
        | Readonly<Record<string, string>>
        | undefined;
      const text = data?.[SLOT_PART_KEY];
      return text === undefined ? undefined : (JSON.parse(text) as Bundle);
    },
    condition: async (kind, name, namespace, type) => {
      const object = await readObject(client, { resource: RESOURCES[kind], namespace, name });
      const { conditions = [] } = (object?.['status'] ?? {}) as { readonly conditions?: readonly Condition[] };
      return conditions.find((condition) => condition.type === type);
    },
    events: async (namespace) => {
      const { json } = await client.request({ method: 'GET', path: collectionPath(EVENTS, namespace) });
      return (json as { readonly items: readonly RawObject[] }).items;
    },
    close: () => client.close(),
  };
}

async function makePod(client: KubeClient, apply: PolicyCluster['apply'], wish: PodWish): Promise<void> {
  const { namespace, name, labels = {}, agent = true, ip = '10.0.0.1', feed } = wish;
  const account = wish.serviceAccount ?? (feed === undefined ? undefined : 'default');
  const bare = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: {
      containers: [{ name: 'app', image: 'app:1', ...(agent ? {} : { securityContext: RESTRICTED }) }],
      automountServiceAccountToken: false,
      // A token can be bound to the pod only if it names its account.
      ...(account === undefined ? {} : { serviceAccountName: account }),
    },
  };
  await apply(agent ? (injected(bare, await trustOf(client), feed) as unknown as WrittenObject) : bare);
  await client.request({
    method: 'PATCH',
    path: `${objectPath({ resource: PODS, namespace, name })}/status`,
    body: { status: { phase: 'Running', ...(ip === null ? {} : { podIP: ip, podIPs: [{ ip }] }) } },
    contentType: 'application/merge-patch+json',
  });
}

/** What the webhook of a controller in `sallyport-system` would inject; before it has made its keys: nothing that it could sign. */
export async function trustOf(client: KubeClient): Promise<InjectedTrust> {
  const secret = await readObject(client, { resource: SECRETS, namespace: 'sallyport-system', name: SIGNING_KEYS_SECRET });
  return secret === undefined ? TRUST : { anchor: signerOf(keysIn(secret)).anchor, floor: 0 };
}
