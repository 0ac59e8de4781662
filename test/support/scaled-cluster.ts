/*
 * A cluster state of any size with the pipeline and the status loop on it, for benchmarks and for tests that count what a
 * change costs. Bundles and statuses stay in memory. Each workload has one pod and one policy that selects only it; each namespace of
 * ten workloads has a policy, and so has the mesh. All pods and selectors share the label env=prod.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { policyKey, type WorkloadKey } from '../../src/api/kube/keys.ts';
import type { SlimPod } from '../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { systemClock } from '../../src/clock.ts';
import { createPipeline } from '../../src/controller/pipeline.ts';
import { createAddressGuards } from '../../src/jwks/address-guard.ts';
import { createJwksCache } from '../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../../src/state/cluster-state.ts';
import { createStatusLoop } from '../../src/status/status-loop.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../src/status/workload-ledger.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { GUARDED } from './guarded-pods.ts';
import { createMemoryDelivery } from './memory-delivery.ts';

const NAMESPACE_SIZE = 10;
const KIND = 'AuthorizationPolicy';

/** What a change cost. */
export interface ChangeCost {
  /** Records read from the ledger, and objects read from the stores other than by key. */
  readonly objectsExamined: number;
  readonly bundlesCompiled: number;
  readonly statusesWritten: number;
}

export interface ScaledCluster {
  readonly clusterState: ClusterState;
  /** The pod of a workload, from 0. `version` is a label that no selector names. */
  readonly pod: (index: number, labels?: Readonly<Record<string, string>>) => SlimPod;
  /** The policy of a workload as the API server returns it. */
  readonly workloadPolicy: (index: number, generation: number) => object;
  /** The policy of the namespace of a workload. */
  readonly namespacePolicy: (index: number, generation: number) => object;
  /** Queues the status of the policy of a workload. */
  readonly queueStatus: (index: number) => void;
  /** Resolves when no change is left to be published or reported. */
  readonly settle: () => Promise<void>;
  /** The cost of everything since the last call. */
  readonly takeCost: () => ChangeCost;
  readonly stop: () => Promise<void>;
}

interface Counts {
  examined: number;
  compiled: number;
  written: number;
}

/** Builds the cluster and publishes everything once. */
export async function createScaledCluster(workloads: number): Promise<ScaledCluster> {
  const counts: Counts = { examined: 0, compiled: 0, written: 0 };
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  const ledger = createWorkloadLedger();
  fill(clusterState, workloads);
  countReads(clusterState, ledger, counts);
  const logger = createLogger({ level: 'silent', component: 'scaled' });
  const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 };
  const jwksCache = createJwksCache({ limits, clock: systemClock, random: Math.random, logger });
  const shared = { clusterState, jwksCache, ledger, clock: systemClock, logger, mesh: () => DEFAULT_MESH_CONFIG };
  const pipeline = createPipeline({
    ...shared,
    delivery: createMemoryDelivery(ledger),
    random: Math.random,
    observer: {
      onCompile: () => {
        counts.compiled += 1;
      },
      onPublish: () => undefined,
    },
  });
  const statuses = createStatusLoop({
    ...shared,
    settleMs: 0,
    pausePerWorkloadMs: 0,
    write: () => {
      counts.written += 1;
      return Promise.resolve('updated');
    },
  });
  const stopping = new AbortController();
  const running = [pipeline.run(stopping.signal), statuses.run(stopping.signal)];
  const isBusy = (): boolean => [pipeline, statuses].some(({ queue }) => queue.depth() > 0 || queue.running().length > 0);
  const settle = async (): Promise<void> => {
    do await nextTurn();
    while (isBusy());
  };
  await settle();
  return {
    clusterState,
    pod,
    workloadPolicy,
    namespacePolicy,
    queueStatus: (index) => statuses.queue.add(policyKey(KIND, namespaceOf(index), `p-${index}`)),
    settle,
    takeCost: () => takeCost(counts),
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

function fill(clusterState: ClusterState, workloads: number): void {
  clusterState.upsertPolicy(policy('mesh-wide', { namespace: DEFAULT_MESH_CONFIG.rootNamespace, generation: 1 }));
  for (let index = 0; index < workloads; index += 1) {
    if (index % NAMESPACE_SIZE === 0) clusterState.upsertPolicy(namespacePolicy(index, 1));
    clusterState.upsertPolicy(workloadPolicy(index, 1));
    clusterState.pods.upsert(pod(index));
  }
}

function namespaceOf(index: number): string {
  return `ns-${Math.floor(index / NAMESPACE_SIZE)}`;
}

function pod(index: number, labels: Readonly<Record<string, string>> = {}): SlimPod {
  return {
    namespace: namespaceOf(index),
    name: `app-${index}-0`,
    uid: `pod-${index}`,
    labels: { app: `app-${index}`, env: 'prod', ...labels },
    annotations: {},
    ...GUARDED,
    phase: 'Running',
    owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: `app-${index}`, uid: `app-${index}` },
  };
}

function workloadPolicy(index: number, generation: number): object {
  const labels = { env: 'prod', app: `app-${index}` };
  return policy(`p-${index}`, { namespace: namespaceOf(index), generation, labels });
}

function namespacePolicy(index: number, generation: number): object {
  return policy('all', { namespace: namespaceOf(index), generation });
}

interface PolicyPlace {
  readonly namespace: string;
  readonly generation: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Its rule names the generation, so that each generation compiles to another bundle. */
function policy(name: string, { namespace, generation, labels }: PolicyPlace): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: KIND,
    metadata: { namespace, name, uid: `${namespace}-${name}`, generation },
    spec: {
      ...(labels === undefined ? {} : { selector: { matchLabels: labels } }),
      rules: [{ to: [{ operation: { paths: [`/${generation}`] } }] }],
    },
  };
}

/** Counts every record that is read from the ledger, and every object that is read from a store without naming its key. */
function countReads(clusterState: ClusterState, ledger: WorkloadLedger, counts: Counts): void {
  const counted = <A extends readonly unknown[], T>(read: (...args: A) => Iterable<T>): ((...args: A) => IterableIterator<T>) =>
    function* scan(...args: A): IterableIterator<T> {
      for (const value of read(...args)) {
        counts.examined += 1;
        yield value;
      }
    };
  for (const store of [clusterState.policies, clusterState.pods, clusterState.namespaces] as Partial<ClusterState['pods']>[]) {
    const { values, byIndex, indexValues } = store as ClusterState['pods'];
    Object.assign(store, {
      values: counted(values),
      byIndex: (...args: Parameters<typeof byIndex>) => [...counted(byIndex)(...args)],
      indexValues: counted(indexValues),
    });
  }
  const { get, records } = ledger;
  const countedGet = (key: WorkloadKey): ReturnType<typeof get> => {
    counts.examined += 1;
    return get(key);
  };
  Object.assign(ledger, { get: countedGet, records: counted(records) });
}

function takeCost(counts: Counts): ChangeCost {
  const cost = { objectsExamined: counts.examined, bundlesCompiled: counts.compiled, statusesWritten: counts.written };
  Object.assign(counts, { examined: 0, compiled: 0, written: 0 });
  return cost;
}
