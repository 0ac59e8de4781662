/*
 * A cluster with Istio and Sallyport for one describe: policies, Deployments, and what stands for the kubelets, which only report pods as ready.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { runCommand } from '../support/cli-context.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { type Istiod, kubectl } from './products.ts';

const PATIENCE_MS = 120_000;
const CASES = new URL('../conformance/cases/', import.meta.url);

/** A condition of a policy as stored. */
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number | string;
}

/** A policy as stored. */
export interface StoredPolicy {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string; readonly generation: number; readonly resourceVersion: string };
  readonly spec: object;
  readonly status?: { readonly conditions?: readonly Condition[]; readonly validationMessages?: readonly object[] };
}

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly Named[]; readonly initContainers?: readonly Named[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

interface Named {
  readonly name: string;
}

/** What the hooks of one describe start, and functions on it. */
export interface Cluster {
  plane: ControlPlane;
  istiod: Istiod | undefined;
  sallyport: ControllerProcess | undefined;
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  readonly apply: (...objects: readonly object[]) => Promise<void>;
  readonly see: (condition: () => Promise<boolean>, what: string) => Promise<void>;
  /** Creates a namespace with labels, each as `name=value`. */
  readonly namespace: (name: string, ...labels: readonly string[]) => Promise<void>;
  /** All policies, sorted by kind, namespace and name. */
  readonly policies: () => Promise<readonly StoredPolicy[]>;
  /** Names of the containers of each pod of a namespace that is not being deleted, init containers first. */
  readonly containers: (namespace: string) => Promise<readonly string[]>;
  /** Reports new pods of a Deployment as ready until it is rolled out. @param each called after each step with the containers of the pods */
  readonly rollOut: (namespace: string, name: string, each?: (pods: readonly string[]) => Promise<void>) => Promise<void>;
  /** Output of `sallyport status`. */
  readonly status: (namespace: string) => Promise<string>;
}

/** Registers the hooks of one describe. */
export function setUpCluster(): Cluster {
  const at: Cluster = {
    istiod: undefined,
    sallyport: undefined,
    kubectl: (...args) => kubectl(at.plane, args),
    apply: async (...objects) => {
      await kubectl(at.plane, ['apply', '--server-side', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    },
    see: (condition, what) => until(condition, what, PATIENCE_MS),
    namespace: async (name, ...labels) => {
      await at.kubectl('create', 'namespace', name);
      if (labels.length > 0) await at.kubectl('label', 'namespace', name, ...labels);
    },
    policies: async () => {
      const text = await at.kubectl('get', 'requestauthentications,authorizationpolicies', '-A', '-o', 'json');
      const { items } = JSON.parse(text) as { readonly items: readonly StoredPolicy[] };
      return items.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
    },
    containers: async (namespace) => (await podsOf(at, namespace)).map(containersOf),
    rollOut: (namespace, name, each) => rollOut(at, { namespace, name, ...(each === undefined ? {} : { each }) }),
    status: async (namespace) => {
      const { stdout, stderr } = await runCommand(['status', '-n', namespace, '--kubeconfig', at.plane.kubeconfigPath]);
      return `${stdout}${stderr}`;
    },
  } as Omit<Cluster, 'plane'> as Cluster;

  before(async () => {
    // Webhooks are reached through the EndpointSlices of their Services.
    at.plane = await startControlPlane({ controllerManager: true, audit: true, apiServerFlags: ['--enable-aggregator-routing=true'] });
  });
  after(async () => {
    await at.sallyport?.stop();
    await at.istiod?.stop();
    await at.plane?.stop();
  });
  return at;
}

/** `kind/namespace/name` */
export function nameOf({ kind, metadata }: StoredPolicy): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

/** Status of a condition that is about the newest generation of the policy. */
export function statusOf({ metadata, status }: StoredPolicy, type: string): string | undefined {
  const found = status?.conditions?.find((condition) => condition.type === type);
  return Number(found?.observedGeneration ?? metadata.generation) === metadata.generation ? found?.status : undefined;
}

/** The policies of all recordings that Istio admits, which have every field, under new names in one namespace. */
export function recordedPolicies(namespace: string): readonly object[] {
  interface Recording {
    readonly resources: readonly { readonly kind: string; readonly metadata: object; readonly spec?: object }[];
    readonly istio: { readonly rejected?: readonly object[] };
    readonly applyInvalid?: boolean;
  }
  const recordings = readdirSync(CASES)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, CASES), 'utf8')) as Recording);
  return recordings
    .filter(({ istio, applyInvalid }) => (istio.rejected ?? []).length === 0 && applyInvalid !== true)
    .flatMap(({ resources }) => resources)
    .filter(({ kind }) => kind === 'RequestAuthentication' || kind === 'AuthorizationPolicy')
    .map((resource, at) => ({ ...resource, metadata: { name: `p-${at}`, namespace } }));
}

/** A Deployment of two pods with a probe. @param labels of its pods */
export function deployment(namespace: string, name: string, labels: Readonly<Record<string, string>> = {}): object {
  const container = {
    name: 'app',
    image: 'app:1',
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/ready', port: 8080 } },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name, ...labels } }, spec: { containers: [container] } },
    },
  };
}

async function podsOf(at: Cluster, namespace: string): Promise<readonly Pod[]> {
  const { items } = JSON.parse(await at.kubectl('get', 'pods', '-n', namespace, '-o', 'json')) as { readonly items: readonly Pod[] };
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

function containersOf({ spec }: Pod): string {
  return [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name).join(' ');
}

let addresses = 0;

async function rollOut(
  at: Cluster,
  {
    namespace,
    name,
    each,
  }: { readonly namespace: string; readonly name: string; readonly each?: (pods: readonly string[]) => Promise<void> },
): Promise<void> {
  await at.see(async () => {
    const pods = await podsOf(at, namespace);
    for (const pod of pods.filter(
      ({ status }) => status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') !== true,
    )) {
      addresses += 1;
      const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
      const podIP = `10.244.${Math.trunc(addresses / 250)}.${(addresses % 250) + 1}`;
      const patch = JSON.stringify({ status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [ready] } });
      await at.kubectl('patch', 'pod', pod.metadata.name, '-n', namespace, '--subresource=status', '--type=merge', '-p', patch);
    }
    await each?.(pods.map(containersOf));
    const { metadata, spec, status } = JSON.parse(await at.kubectl('get', 'deployment', name, '-n', namespace, '-o', 'json')) as {
      readonly metadata: { readonly generation: number };
      readonly spec: { readonly replicas: number };
      readonly status: Readonly<Record<string, number | undefined>>;
    };
    const counts = ['replicas', 'updatedReplicas', 'availableReplicas'].map((field) => status[field]);
    return (
      status['observedGeneration'] === metadata.generation &&
      counts.every((count) => count === spec.replicas) &&
      pods.length === spec.replicas
    );
  }, `the rollout of ${namespace}/${name}`);
}

/** The data planes of a pod's containers must be exactly these. */
export function expectGuards(pods: readonly string[], guards: readonly string[]): void {
  for (const pod of pods) expect(guardOf(pod), pod).to.be.oneOf(guards);
}

/** `istio`, `sallyport`, `both` or `none` */
export function guardOf(containers: string): string {
  const isOurs = containers.includes('sallyport-agent');
  if (containers.includes('istio-proxy')) return isOurs ? 'both' : 'istio';
  return isOurs ? 'sallyport' : 'none';
}
