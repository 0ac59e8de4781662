import { expect } from 'chai';
import { parseWorkloadKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache, type JwksCache } from '../../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { type AgentReports, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { createStatusLoop, type StatusLoop, type StatusLoopOptions } from '../../../src/status/status-loop.ts';
import {
  createWorkloadLedger,
  type DesiredBundle,
  type PublishedBundle,
  type WorkloadLedger,
} from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { slimPod } from '../../support/guarded-pods.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const SETTLE_MS = 200;
const NOTHING = (): void => {};

function pod(name: string, labels: object, agent = true): SlimPod {
  return slimPod({ metadata: { namespace: 'foo', name, labels }, status: { phase: 'Running' } }, agent);
}

function policy(
  name: string,
  over: { readonly namespace?: string; readonly labels?: object; readonly generation?: number; readonly rules?: object } = {},
): object {
  const { namespace = 'foo', labels, generation = 1, rules = [{ to: [{ operation: { methods: ['GET'] } }] }] } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace, name, generation, uid: name },
    spec: { rules, ...(labels === undefined ? {} : { selector: { matchLabels: labels } }) },
  };
}

describe('status loop', () => {
  let clock: FakeClock;
  let clusterState: ClusterState;
  let jwksCache: JwksCache;
  let ledger: WorkloadLedger;
  let loop: StatusLoop;
  let agents: AgentReports;
  let mesh: MeshConfig;
  let written: { readonly name: string; readonly facts: PolicyFacts }[];
  let stop: () => Promise<void>;
  let subscriptions: number;
  let reports: string[];

  beforeEach(() => {
    clock = createFakeClock();
    mesh = DEFAULT_MESH_CONFIG;
    clusterState = createClusterState(() => mesh);
    ledger = createWorkloadLedger();
    agents = createAgentReports(clock);
    jwksCache = createJwksCache({
      limits: { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 },
      clock,
      random: () => 1,
      logger,
    });
    written = [];
    subscriptions = 0;
    reports = [];
    start();
  });
  function subscribe(listener: Parameters<JwksCache['subscribe']>[0]): () => void {
    subscriptions += 1;
    const unsubscribe = jwksCache.subscribe(listener);
    return () => {
      subscriptions -= 1;
      unsubscribe();
    };
  }
  function start(more: Partial<Pick<StatusLoopOptions, 'agents' | 'giveWay'>> = {}): void {
    loop = createStatusLoop({
      clusterState,
      mesh: () => mesh,
      jwksCache: { stateOf: (...of) => jwksCache.stateOf(...of), subscribe },
      ledger,
      ...more,
      clock,
      logger,
      onWrite: (result) => reports.push(`written ${result}`),
      queueObserver: { onDepth: NOTHING, onAdd: () => reports.push('queued'), onTake: NOTHING, onDone: NOTHING, onRetry: NOTHING },
      workerObserver: { onActive: (change) => reports.push(`active ${change}`), onResult: (result) => reports.push(result) },
      write: ({ name }, facts) => {
        written.push({ name, facts });
        return Promise.resolve('updated');
      },
    });
    const stopping = new AbortController();
    const running = loop.run(stopping.signal);
    stop = async () => {
      stopping.abort();
      await running;
    };
  }
  afterEach(() => stop());

  const settle = async (): Promise<readonly string[]> => {
    const before = written.length;
    clock.advance(SETTLE_MS);
    await until(() => loop.queue.depth() === 0 && loop.queue.running().length === 0, 'the queue to empty');
    return written
      .slice(before)
      .map(({ name }) => name)
      .sort();
  };
  const factsOf = (name: string): PolicyFacts | undefined => written.findLast((write) => write.name === name)?.facts;
  const compiled = (key: string, over: Partial<DesiredBundle> = {}): void =>
    ledger.desire(key, { revision: 'd', policies: new Map(), findings: new Map(), ...over });
  const publish = (key: string): void => ledger.setPublished(key, { workload: parseWorkloadKey(key), revision: 'd', policies: new Map() });
  const published = (key: string, generation: number): void => {
    compiled(key, { policies: new Map([['AuthorizationPolicy/foo/p', generation]]) });
    publish(key);
  };

  it('writes once for a policy that changed many times', async () => {
    for (let generation = 1; generation <= 10; generation += 1) clusterState.upsertPolicy(policy('p', { generation }));
    expect(written).to.deep.equal([]);
    expect(await settle()).to.deep.equal(['p']);
  });

  it('gives way to more urgent work, and reads afterwards what to write', async () => {
    await stop();
    const urgent = Promise.withResolvers<void>();
    start({ giveWay: () => urgent.promise });
    clusterState.upsertPolicy(policy('p', { labels: { app: 'a' } }));
    clock.advance(SETTLE_MS);
    await until(() => loop.queue.running().length > 0, 'a worker');
    expect(written).to.deep.equal([]);
    clusterState.pods.upsert(pod('a', { app: 'a' }));
    urgent.resolve();
    await settle();
    expect(written[0]?.facts.waiting).to.deep.equal(['foo/pod/a']);
  });

  it('writes the status of a policy at most once in 2 ms for each of many workloads', async () => {
    const keys = Array.from({ length: 250 }, (_, at) => `foo/pod/p${at}`);
    for (const key of keys) clusterState.pods.upsert(pod(parseWorkloadKey(key).name, {}));
    clusterState.upsertPolicy(policy('p'));
    expect(await settle()).to.deep.equal(['p']);

    for (const key of keys) published(key, 1);
    expect(await settle()).to.deep.equal([]);
    clock.advance(300 - 1);
    expect(written).to.have.length(1);
    clock.advance(1);
    await until(() => written.length === 2, 'the second status');
    expect(factsOf('p')?.published).to.have.length(250);
  });

  it('writes only policies that select other workloads than before when a pod changes', async () => {
    clusterState.upsertPolicy(policy('p', { labels: { app: 'a' } }));
    clusterState.upsertPolicy(policy('q', { labels: { app: 'b' } }));
    clusterState.upsertPolicy(policy('all', { namespace: 'istio-system' }));
    await settle();
    clusterState.pods.upsert(pod('a', { app: 'a' }));
    expect(await settle()).to.deep.equal(['all', 'p']);

    clusterState.pods.upsert(pod('a', { app: 'b' }));
    // `all` selects the workload of the pod as before.
    expect(await settle()).to.deep.equal(['p', 'q']);
  });

  it('writes nothing when a pod changes only in fields that no status reports', async () => {
    clusterState.upsertPolicy(policy('p'));
    clusterState.pods.upsert(pod('a', {}));
    await settle();
    clusterState.pods.upsert({ ...pod('a', {}), podIP: '10.0.0.9' });
    expect(await settle()).to.deep.equal([]);
  });

  it('reports published, waiting and unprotected workloads separately', async () => {
    clusterState.pods.upsert(pod('done', {}));
    clusterState.pods.upsert(pod('old', {}));
    clusterState.pods.upsert(pod('new', {}));
    clusterState.pods.upsert(pod('bare', {}, false));
    clusterState.namespaces.upsert({ name: 'foo', labels: { 'sallyport.dev/injection': 'enabled' }, terminating: false });
    clusterState.upsertPolicy(policy('p', { generation: 2 }));
    published('foo/pod/done', 2);
    published('foo/pod/old', 1);
    await settle();

    expect(factsOf('p')).to.deep.include({
      published: ['foo/pod/done'],
      waiting: ['foo/pod/new', 'foo/pod/old'],
      withoutAgent: ['foo/pod/bare'],
      refused: [],
    });
  });

  it('writes again when injection is enabled for a namespace with workloads without an agent', async () => {
    const namespace = (name: string, injection: string): void =>
      clusterState.namespaces.upsert({ name, labels: { 'sallyport.dev/injection': injection }, terminating: false });
    clusterState.pods.upsert(pod('bare', {}, false));
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy(policy('all', { namespace: 'istio-system' }));
    clusterState.upsertPolicy(policy('other', { namespace: 'bar' }));
    await settle();
    expect(factsOf('p')?.notEnabled).to.deep.equal([{ namespace: 'foo', workloads: ['foo/pod/bare'] }]);

    namespace('bar', 'enabled');
    expect(await settle()).to.deep.equal([]);
    namespace('foo', 'enabled');
    expect(await settle()).to.deep.equal(['all', 'p']);
    expect(factsOf('p')?.withoutAgent).to.deep.equal(['foo/pod/bare']);
  });

  it('writes again when the ports of a selected workload change', async () => {
    clusterState.upsertPolicy(policy('p', { rules: [{ to: [{ operation: { ports: ['80'] } }] }] }));
    clusterState.pods.upsert({ ...pod('a', {}), ports: [80] });
    await settle();
    clusterState.pods.upsert({ ...pod('a', {}), ports: [8080] });
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.findings.map(({ code }) => code)).to.deep.equal(['SP_NEVER_MATCHES']);
  });

  it('writes again when a bundle is published or refused', async () => {
    clusterState.pods.upsert(pod('a', {}));
    clusterState.upsertPolicy(policy('p'));
    await settle();
    published('foo/pod/a', 1);
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.published).to.deep.equal(['foo/pod/a']);

    ledger.refuse('foo/pod/a', { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: 'too large' });
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.refused).to.deep.equal([{ workload: 'foo/pod/a', message: 'too large' }]);
  });

  it('writes again when a published bundle is tampered with, and when that is over', async () => {
    clusterState.pods.upsert(pod('a', {}));
    clusterState.upsertPolicy(policy('p'));
    published('foo/pod/a', 1);
    await settle();
    const record = ledger.get('foo/pod/a')?.published as PublishedBundle;

    ledger.setPublished('foo/pod/a', { ...record, tampered: 'a client changed it' });
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.tampered).to.deep.equal(['a client changed it']);

    ledger.setPublished('foo/pod/a', record);
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.tampered).to.deep.equal([]);
  });

  it('writes again when a first bundle is published without the policy, even a damaged one', async () => {
    clusterState.pods.upsert(pod('a', {}));
    clusterState.upsertPolicy(policy('p'));
    compiled('foo/pod/a');
    await settle();
    expect(factsOf('p')?.starting).to.deep.equal(['foo/pod/a']);

    ledger.setPublished('foo/pod/a', { workload: parseWorkloadKey('foo/pod/a'), policies: new Map() });
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')).to.deep.include({ starting: [], waiting: ['foo/pod/a'] });
  });

  it('writes again when the reason of a refusal changes, and when findings do', async () => {
    const refusal = { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: 'too large' } as const;
    const finding = { code: 'SP_VALUE', severity: 'warning', path: 'spec', message: 'odd' } as const;
    clusterState.pods.upsert(pod('a', {}));
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy(policy('q'));
    compiled('foo/pod/a');
    publish('foo/pod/a');
    ledger.refuse('foo/pod/a', refusal);
    await settle();

    ledger.refuse('foo/pod/a', { ...refusal, message: 'larger' });
    expect(await settle()).to.deep.equal(['p', 'q']);
    compiled('foo/pod/a', { findings: new Map([['AuthorizationPolicy/foo/p', [finding]]]) });
    expect(await settle()).to.deep.equal(['p']);
    compiled('foo/pod/a', { findings: new Map([['AuthorizationPolicy/foo/p', [{ ...finding }]]]) });
    expect(await settle()).to.deep.equal([]);
  });

  it('reports what it wrote, to its owner and to the observers of queue and workers', async () => {
    clusterState.upsertPolicy(policy('p'));
    await settle();

    expect(reports).to.deep.equal(['queued', 'active 1', 'written updated', 'active -1', 'success']);
  });

  it('writes nothing after it was stopped', async () => {
    clusterState.upsertPolicy(policy('p'));
    await settle();
    await stop();
    clusterState.upsertPolicy(policy('p', { generation: 2 }));
    clusterState.upsertPolicy(policy('q'));
    expect(await settle()).to.deep.equal([]);
  });

  it('leaves no timer behind when it is stopped', async () => {
    clusterState.upsertPolicy(policy('p'));
    expect(clock.pending()).not.to.deep.equal([]);
    await stop();
    expect(clock.pending()).to.deep.equal([]);
  });

  it('subscribes to nothing after it was stopped', async () => {
    expect(subscriptions).to.equal(1);
    await stop();
    expect(subscriptions).to.equal(0);
    start();
    expect(subscriptions).to.equal(1);
  });

  it('writes the policies that were there before it started', async () => {
    await stop();
    clusterState.upsertPolicy(policy('early'));
    start();
    expect(await settle()).to.deep.equal(['early']);
  });

  it('adds findings of the compiler and fields that need a peer identity', async () => {
    clusterState.pods.upsert(pod('a', {}));
    clusterState.upsertPolicy(policy('p', { rules: [{ from: [{ source: { principals: ['x'] } }] }] }));
    const finding = { code: 'SP_VALUE', severity: 'warning', path: 'spec', message: 'odd' } as const;
    compiled('foo/pod/a', { findings: new Map([['AuthorizationPolicy/foo/p', [finding]]]) });
    publish('foo/pod/a');
    await settle();

    expect(factsOf('p')?.findings.map(({ code }) => code)).to.deep.equal(['SP_VALUE', 'SP_NEEDS_PEER_IDENTITY']);

    mesh = { ...DEFAULT_MESH_CONFIG, trustedProxies: ['10.0.0.1'] };
    loop.notifyAll();
    await settle();
    expect(factsOf('p')?.findings.map(({ code }) => code)).to.deep.equal(['SP_VALUE']);
  });

  it('writes nothing about a published bundle until this leader has compiled the workload', async () => {
    clusterState.pods.upsert(pod('a', {}));
    clusterState.pods.upsert(pod('b', {}));
    for (const key of ['foo/pod/a', 'foo/pod/b']) publish(key);
    clusterState.upsertPolicy(policy('p'));
    expect(await settle()).to.deep.equal([]);

    compiled('foo/pod/a', { policies: new Map([['AuthorizationPolicy/foo/p', 1]]) });
    expect(await settle()).to.deep.equal([]);

    compiled('foo/pod/b', { policies: new Map([['AuthorizationPolicy/foo/p', 1]]) });
    expect(await settle()).to.deep.equal(['p']);
    expect(factsOf('p')?.published).to.deep.equal(['foo/pod/a', 'foo/pod/b']);
  });

  it('reports keys that are still being fetched', async () => {
    const rule = { issuer: 'me', jwksUri: 'http://127.0.0.1:1/keys' };
    jwksCache.want('RequestAuthentication/foo/jwt', 'foo', [rule]);
    clusterState.upsertPolicy({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { namespace: 'foo', name: 'jwt', generation: 1, uid: 'jwt' },
      spec: { jwtRules: [rule, { issuer: 'you', jwks: '{"keys":[]}' }] },
    });
    await settle();
    expect(factsOf('jwt')?.keys).to.deep.equal([{ kind: 'pending', rule: 0, reason: 'the keys are being fetched' }]);
  });

  it('writes every policy after notifyAll, except those that were deleted or come from a file', async () => {
    clusterState.upsertPolicy(policy('p'));
    const { metadata, ...rest } = policy('file') as { readonly metadata: { readonly uid?: string } };
    const { uid: _uid, ...withoutUid } = metadata;
    clusterState.upsertPolicy({ ...rest, metadata: withoutUid });
    await settle();
    loop.notifyAll();
    expect(await settle()).to.deep.equal(['p']);

    clusterState.removePolicy('AuthorizationPolicy/foo/p');
    expect(await settle()).to.deep.equal([]);
  });

  it('queues the policies of a pod whose agent says something new, whose stream ends, or which gets an address', async () => {
    clusterState.pods.upsert(pod('web', { app: 'web' }));
    clusterState.upsertPolicy(policy('selecting', { labels: { app: 'web' } }));
    clusterState.upsertPolicy(policy('other', { labels: { app: 'other' } }));
    await stop();
    start({ agents });
    await settle();
    const state = { uid: 'u', revision: 'r1' };
    agents.set('foo/web', state);
    expect(await settle()).to.deep.equal(['selecting']);
    agents.set('foo/web', { ...state });
    expect(await settle()).to.deep.equal([]);
    agents.set('foo/web', { ...state, revision: 'r2' });
    expect(await settle()).to.deep.equal(['selecting']);
    agents.remove('foo/web');
    expect(await settle()).to.deep.equal(['selecting']);
    clock.advance(GRACE_MS);
    expect(await settle()).to.deep.equal(['selecting']);
    clusterState.pods.upsert({ ...pod('web', { app: 'web' }), podIP: '10.0.0.1' });
    expect(await settle()).to.deep.equal(['selecting']);
  });

  it('looks at every policy again when agents have had time to connect to a new leader', async () => {
    clusterState.upsertPolicy(policy('one'));
    await stop();
    start({ agents });
    await settle();
    agents.beginTerm();
    clock.advance(GRACE_MS);
    expect(await settle()).to.deep.equal(['one']);
    agents.endTerm();
  });
});
