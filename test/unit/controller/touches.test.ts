import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { createTouches, type Touches } from '../../../src/controller/touches.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { type AgentReports, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { pod } from './pods-and-policies.ts';

const WORKLOAD = { namespace: 'foo', kind: 'pod', name: 'httpbin' };

let clock: FakeClock;
let clusterState: ClusterState;
let ledger: WorkloadLedger;
let touches: Touches;
let agents: AgentReports;
let patched: string[];
let fail: (name: string) => Error | undefined;
let running: number;
let most: number;
let stop: () => Promise<void>;
let waitingBundles: number;

function publish(revision: string, resync?: string): void {
  ledger.setPublished('foo/pod/httpbin', {
    workload: WORKLOAD,
    revision,
    policies: new Map(),
    ...(resync === undefined ? {} : { resync }),
  });
}

function addPods(count: number): void {
  for (let at = 0; at < count; at += 1)
    clusterState.pods.upsert({ ...pod({ name: `p${at}`, uid: `u${at}`, ip: '10.0.0.1' }), generateName: 'httpbin-' });
  touches.add(clusterState.pods.values(), 'normal');
}

describe('touches', () => {
  beforeEach(() => {
    clock = createFakeClock();
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    ledger = createWorkloadLedger();
    agents = createAgentReports(clock);
    patched = [];
    fail = () => undefined;
    [running, most, waitingBundles] = [0, 0, 0];
    touches = createTouches({
      waitingBundles: () => waitingBundles,
      clusterState,
      ledger,
      agents,
      clock,
      logger: createLogger({ level: 'silent', component: 'test' }),
      concurrency: 3,
      kubeletResync: {
        isNeeded: ({ name }, revision) => !patched.includes(`${name} ${revision}`),
        patch: async ({ name }, revision) => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          const error = fail(name);
          if (error !== undefined) throw error;
          patched.push(`${name} ${revision}`);
        },
      },
    });
    const stopping = new AbortController();
    const work = touches.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      await work;
    };
  });
  afterEach(() => stop());

  it('let bundles go first, but wait no longer than two seconds each', async () => {
    publish('r1');
    waitingBundles = 100;
    addPods(4);
    await until(() => clock.pending().length === 3, 'the wait of three patches');
    expect(patched).to.deep.equal([]);
    waitingBundles = 8;
    clock.advance(50);
    await until(() => patched.length === 4, 'all patches');

    waitingBundles = 100;
    publish('r2');
    touches.add(clusterState.pods.values(), 'normal');
    for (let ms = 0; ms < 2_000; ms += 50) {
      await until(() => clock.pending().length === 3, 'the wait of three patches');
      clock.advance(50);
    }
    await until(() => patched.length === 7, 'three patches');
    waitingBundles = 0;
    await until(() => clock.pending().length > 0, 'the wait of the last one');
    clock.advance(50);
    await until(() => patched.length === 8, 'the last patch');
  });

  it('patches no pod whose agent holds a stream of the feed, and others once agents have had time to connect', async () => {
    const withFeed = (name: string): SlimPod => {
      return { ...pod({ name, uid: `u-${name}`, ip: '10.0.0.1' }), agent: { ports: [], excluded: [], level: 2, hasFeed: true } };
    };
    const connect = (name: string): void => agents.set(`foo/${name}`, { uid: `u-${name}`, revision: '' });
    for (const name of ['connected', 'lost', 'missing']) clusterState.pods.upsert(withFeed(name));
    clusterState.pods.upsert(pod({ name: 'old', ip: '10.0.0.1' }));
    for (const workload of ['connected', 'lost', 'missing', 'old'])
      ledger.setPublished(`foo/pod/${workload}`, { workload: { ...WORKLOAD, name: workload }, revision: 'one', policies: new Map() });
    agents.beginTerm();
    connect('connected');
    connect('lost');
    touches.add(clusterState.pods.values(), 'normal');
    await until(() => patched.length === 1, 'the pod without a feed');
    clock.advance(GRACE_MS - 1);
    agents.remove('foo/lost');
    touches.add(clusterState.pods.values(), 'normal');
    clock.advance(1);
    await until(() => patched.length === 2, 'the pod that never connected');
    clock.advance(GRACE_MS);
    await until(() => patched.length === 3, 'the pod that lost its stream');
    expect(patched).to.deep.equal(['old one', 'missing one', 'lost one']);
    agents.endTerm();
  });

  it('waits longer when many agents lose their streams while it waits for one', async () => {
    const agent: SlimPod['agent'] = { ports: [], excluded: [], level: 2, hasFeed: true };
    clusterState.pods.upsert({ ...pod({ name: 'lost', uid: 'u', ip: '10.0.0.1' }), agent });
    ledger.setPublished('foo/pod/lost', { workload: { ...WORKLOAD, name: 'lost' }, revision: 'one', policies: new Map() });
    agents.beginTerm();
    clock.advance(GRACE_MS);
    const names = ['lost', ...Array.from({ length: 500 }, (_, at) => `p${at}`)].map((name) => `foo/${name}`);
    for (const name of names) agents.set(name, { uid: 'u', revision: '' });
    agents.remove('foo/lost');
    touches.add(clusterState.pods.values(), 'normal');
    for (const name of names) agents.remove(name);
    clock.advance(GRACE_MS);
    await until(() => clock.pending().includes(501 * 4) && running === 0, 'the second wait');
    expect(patched).to.deep.equal([]);
    clock.advance(501 * 4);
    await until(() => patched.length === 1, 'the patch');
    agents.endTerm();
  });

  it('patches the pods of a published bundle, a few at a time', async () => {
    publish('one');
    addPods(10);
    await until(() => patched.length === 10, 'all patches');

    expect(most).to.equal(3);
    expect(new Set(patched)).to.deep.equal(new Set(Array.from({ length: 10 }, (_, at) => `p${at} one`)));
  });

  it('patches nothing that is not published, and nothing twice', async () => {
    addPods(2);
    expect(touches.queue.depth()).to.equal(0);

    publish('one');
    addPods(2);
    await until(() => patched.length === 2, 'both patches');
    addPods(2);
    expect(touches.queue.depth()).to.equal(0);
  });

  it('writes the revision that is published by then, and that of a repair', async () => {
    publish('one');
    addPods(4);
    publish('two', 'two#1');
    await until(() => patched.length === 4, 'all patches');

    expect(new Set(patched)).to.deep.equal(new Set(['p0 two#1', 'p1 two#1', 'p2 two#1', 'p3 two#1']));
  });

  it('leaves pods alone that went away meanwhile', async () => {
    publish('one');
    addPods(5);
    clusterState.pods.remove('foo/p4');
    await until(() => touches.queue.depth() === 0 && touches.queue.running().length === 0, 'the queue to empty');

    expect(patched).to.have.length(4);
  });

  for (const error of [new TransientError('SP_KUBE_API', 'down'), new RefusedError('SP_KUBE_FORBIDDEN', 'no')]) {
    it(`tries a pod again after ${error.code}, and the others meanwhile`, async () => {
      let failures = 0;
      fail = (name) => (name === 'p1' && failures++ === 0 ? error : undefined);
      publish('one');
      addPods(5);
      await until(() => patched.length === 4 && clock.pending().length > 0, 'the others');
      clock.advance(2_000);
      await until(() => patched.length === 5, 'the failed one');

      expect(patched.at(-1)).to.equal('p1 one');
    });
  }
});
