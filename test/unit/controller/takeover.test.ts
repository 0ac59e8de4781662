/*
 * A standby that becomes leader: two replicas with separate caches and one set of ConfigMaps. The first one leads and stops,
 * the second one takes over.
 */
import { expect } from 'chai';
import { parsePolicyKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import { createPipeline, type Pipeline } from '../../../src/controller/pipeline.ts';
import { type ConfigMapDelivery, createConfigMapDelivery } from '../../../src/delivery/config-map-delivery.ts';
import type { Copy, PublishedCopies } from '../../../src/delivery/published-copies.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache } from '../../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { conditionsOf } from '../../../src/status/conditions.ts';
import { createStatusLoop, type StatusLoop } from '../../../src/status/status-loop.ts';
import { createWorkloadLedger, isUnverified, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { createFakeConfigMaps, type FakeConfigMaps } from '../../support/fake-config-maps.ts';
import { slimPod } from '../../support/guarded-pods.ts';
import { SIGNER } from '../../support/signing.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const SETTLE_MS = 200;
/** What the first leader has written. */
const STATUSES: readonly string[] = [
  'no-get Published AcceptedWithWarnings',
  'nothing Published Accepted',
  'peer Published NeedsPeerIdentity',
];

function pod(name: string): SlimPod {
  return slimPod({ metadata: { namespace: 'foo', name, uid: `uid-${name}`, labels: { app: name } }, status: { phase: 'Running' } });
}

function policy(name: string, over: { readonly generation?: number; readonly method?: string; readonly spec?: object } = {}): object {
  const { generation = 1, method = 'GET', spec = { action: 'DENY', rules: [{ to: [{ operation: { methods: [method] } }] }] } } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'foo', name, generation, uid: `uid-${name}` },
    spec,
  };
}

interface Replica {
  readonly clusterState: ClusterState;
  readonly ledger: WorkloadLedger<PublishedCopies>;
  readonly delivery: ConfigMapDelivery;
  readonly clock: FakeClock;
  readonly lead: (mesh?: MeshConfig) => Term;
}

interface Term {
  readonly pipeline: Pipeline;
  readonly statuses: StatusLoop;
  /** `<policy> <Ready reason> <Accepted reason>` of each status written. */
  readonly written: string[];
  /** How many bundles were compiled when that of a workload was published; undefined: it is not. */
  readonly compiledBefore: (workload: string) => number | undefined;
  /** Waits until the queues are empty, with all delays of statuses passed. */
  readonly settle: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

function startReplica(cluster: FakeConfigMaps): Replica {
  const clock = createFakeClock();
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  const ledger = createWorkloadLedger<PublishedCopies>();
  const delivery = createConfigMapDelivery({ client: cluster.client, ledger, signer: () => SIGNER, clock, logger });
  return {
    clusterState,
    ledger,
    delivery,
    clock,
    lead: (mesh = DEFAULT_MESH_CONFIG) => lead({ clusterState, ledger, delivery, clock }, mesh),
  };
}

function lead(replica: Omit<Replica, 'lead'>, mesh: MeshConfig): Term {
  const { clock, ledger } = replica;
  const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 };
  const jwksCache = createJwksCache({ limits, clock, random: () => 1, logger });
  const written: string[] = [];
  let compiled = 0;
  const published = new Map<string, number>();
  const common = { ...replica, jwksCache, logger, mesh: () => mesh };
  const pipeline = createPipeline({
    ...common,
    random: () => 0,
    observer: { onPublish: (_outcome, workload) => void published.set(workload, compiled), onCompile: () => void (compiled += 1) },
  });
  const statuses = createStatusLoop({
    ...common,
    settleMs: SETTLE_MS,
    write: (entry, facts) => {
      const [accepted, ready] = conditionsOf(entry, facts);
      written.push(`${entry.name} ${ready?.reason} ${accepted?.reason}`);
      return Promise.resolve('updated');
    },
  });
  const stopping = new AbortController();
  const running = Promise.all([pipeline.run(stopping.signal), statuses.run(stopping.signal)]);
  const isQuiet = (): boolean => [pipeline, statuses].every(({ queue }) => queue.depth() === 0 && queue.running().length === 0);
  return {
    pipeline,
    statuses,
    written,
    compiledBefore: (workload) => published.get(workload),
    settle: async () => {
      await until(isQuiet, 'the queues to empty');
      clock.advance(SETTLE_MS);
      await until(isQuiet, 'the statuses to be written');
    },
    stop: async () => {
      stopping.abort();
      await running;
      ledger.endTerm();
    },
  };
}

/** What the informer of bundles reports after a list. */
function list({ delivery }: Replica, { objects }: FakeConfigMaps): void {
  const copies = new Map<string, Copy>();
  for (const object of objects.values()) {
    const copy = delivery.project(object);
    if (copy !== undefined) copies.set(`foo/${object.metadata?.name}`, copy);
  }
  delivery.sink.replace(copies, '1');
}

describe('standby that takes over', () => {
  let cluster: FakeConfigMaps;
  let standby: Replica;
  let term: Term;
  const NOTHING_ALLOWED = { action: 'ALLOW' };
  const WITH_WARNING = { action: 'DENY', rules: [{ from: [{ source: { principals: ['x'] } }] }] };

  beforeEach(async () => {
    cluster = createFakeConfigMaps();
    const leader = startReplica(cluster);
    standby = startReplica(cluster);
    for (const { clusterState } of [leader, standby]) {
      for (const name of ['a', 'b']) clusterState.pods.upsert(pod(name));
      clusterState.upsertPolicy(policy('no-get'));
      clusterState.upsertPolicy(policy('nothing', { spec: NOTHING_ALLOWED }));
      clusterState.upsertPolicy(policy('peer', { spec: WITH_WARNING }));
    }
    const first = leader.lead();
    await first.settle();
    await first.settle();
    expect(first.written.slice(-STATUSES.length).sort()).to.deep.equal(STATUSES);
    await first.stop();
    list(standby, cluster);
    cluster.requests.length = 0;
  });
  afterEach(() => term?.stop());

  it('has the revisions and generations of all bundles before it leads', () => {
    const records = [...standby.ledger.records()];
    expect(records.map(({ key }) => key)).to.have.members(['foo/pod/a', 'foo/pod/b']);
    for (const record of records) {
      expect(record.published?.revision).to.match(/^sha256:/);
      expect(record.policies.get('AuthorizationPolicy/foo/no-get')).to.equal(1);
      expect(isUnverified(record)).to.equal(true);
    }
  });

  it('writes no bundle and reports the same statuses when nothing changed', async () => {
    term = standby.lead();
    await term.settle();

    expect(cluster.requests).to.deep.equal([]);
    expect(term.written.sort()).to.deep.equal(STATUSES);
  });

  it('writes no status before it has verified the bundles', async () => {
    term = standby.lead();
    term.statuses.notifyAll();
    standby.clock.advance(SETTLE_MS);
    await term.settle();
    expect(term.written.filter((status) => !STATUSES.includes(status))).to.deep.equal([]);
  });

  it('publishes a change from the time without a leader', async () => {
    standby.clusterState.upsertPolicy(policy('no-get', { generation: 2, method: 'PUT' }));
    term = standby.lead();
    await term.settle();
    expect(cluster.requests).to.deep.equal(['PUT sallyport-bundle-pod.a.0', 'PUT sallyport-bundle-pod.b.0']);
    expect(standby.ledger.get('foo/pod/a')?.policies.get('AuthorizationPolicy/foo/no-get')).to.equal(2);
  });

  it('publishes a policy that replaced another one of the same name and generation', async () => {
    standby.clusterState.removePolicy('AuthorizationPolicy/foo/no-get');
    standby.clusterState.upsertPolicy(policy('no-get', { method: 'PUT' }));
    term = standby.lead();
    await term.settle();
    expect(cluster.requests).to.have.length(2);
  });

  it('publishes every bundle when its mesh settings differ from those of the previous leader', async () => {
    term = standby.lead({ ...DEFAULT_MESH_CONFIG, pathNormalization: 'NONE' });
    await term.settle();
    expect(cluster.requests).to.have.length(2);
  });

  it('removes the bundle of a workload that was deleted while no replica led', async () => {
    standby.clusterState.pods.remove('foo/a');
    term = standby.lead();
    await term.settle();
    expect(cluster.requests).to.deep.equal(['DELETE sallyport-bundle-pod.a.0']);
    expect(standby.ledger.get('foo/pod/a')).to.equal(undefined);
  });

  it('reconciles a changed workload before those that it only verifies', async () => {
    for (let count = 0; count < 50; count += 1) standby.clusterState.pods.upsert(pod(`c${count}`));
    term = standby.lead();
    standby.clusterState.pods.upsert(pod('changed'));
    await until(() => term.compiledBefore('foo/pod/changed') !== undefined, 'the bundle');
    expect(term.compiledBefore('foo/pod/changed')).to.be.lessThan(10);
  });

  it('drops what only a leader knows at the end of its term', async () => {
    term = standby.lead();
    await term.settle();
    await term.stop();
    for (const record of standby.ledger.records()) {
      expect(isUnverified(record)).to.equal(true);
      expect([...record.policies.keys()].map((key) => parsePolicyKey(key).name)).to.have.members(['no-get', 'nothing', 'peer']);
    }
  });
});
