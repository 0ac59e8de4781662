import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { createPipeline, type Pipeline, wantKeys } from '../../../src/controller/pipeline.ts';
import { createTouches } from '../../../src/controller/touches.ts';
import { InvariantError, RefusedError, TransientError } from '../../../src/errors.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache, type JwksCache } from '../../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { freshJwks, json, type KeyServer, startKeyServer } from '../../support/key-server.ts';
import { createMemoryDelivery, type MemoryDelivery } from '../../support/memory-delivery.ts';
import { deny, pod } from './pods-and-policies.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const HTTPBIN = { namespace: 'foo', kind: 'pod', name: 'httpbin' };

let clock: FakeClock;
let clusterState: ClusterState;
let ledger: WorkloadLedger;
let delivery: MemoryDelivery;
let jwksCache: JwksCache;
let mesh: MeshConfig;
let pipeline: Pipeline;
let patched: string[];
let missed: string[];
let stop: () => Promise<void>;
let results: string[];
let runPipeline: () => void;

/** Registers the hooks of one describe. */
function setUp(): void {
  beforeEach(() => {
    clock = createFakeClock();
    mesh = DEFAULT_MESH_CONFIG;
    clusterState = createClusterState(() => mesh);
    ledger = createWorkloadLedger();
    delivery = createMemoryDelivery(ledger);
    patched = [];
    results = [];
    missed = [];
    jwksCache = createJwksCache({
      limits: { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1 << 20, maxRedirects: 3 },
      clock,
      random: () => 1,
      logger,
    });
    pipeline = createPipeline({
      clusterState,
      jwksCache,
      ledger,
      delivery,
      clock,
      logger,
      random: () => 0,
      mesh: () => mesh,
      touches: createTouches({
        clusterState,
        ledger,
        clock,
        logger,
        kubeletResync: {
          isNeeded: ({ podIP = '' }, revision) => podIP.startsWith('needs-resync') && !patched.includes(`${podIP} ${revision}`),
          patch: ({ podIP = '' }, revision) => {
            patched.push(`${podIP} ${revision}`);
            return Promise.resolve();
          },
        },
      }),
      onMissedChange: (workload) => missed.push(workload),
      workerObserver: { onActive: () => undefined, onResult: (result) => results.push(result) },
    });
    const stopping = new AbortController();
    const background = [jwksCache.run(stopping.signal)];
    wantKeys(clusterState, jwksCache);
    stop = async () => {
      stopping.abort();
      await Promise.all(background);
    };
    runPipeline = () => background.push(pipeline.run(stopping.signal));
  });
  afterEach(() => stop());
}

const quiet = (): Promise<void> => until(() => pipeline.queue.depth() === 0 && pipeline.queue.running().length === 0, 'the queue to empty');
const bundle = (key = 'foo/pod/httpbin'): Bundle | undefined => {
  const text = delivery.published.get(key)?.json;
  return text === undefined ? undefined : (JSON.parse(text) as Bundle);
};
const denied = (key?: string): readonly string[] | undefined =>
  bundle(key)?.programs.flatMap(({ http }) => http.deny.rules.map(({ source }) => source.name));

describe('pipeline: bundles', () => {
  setUp();

  it('publishes all bundles when it starts, and removes those without a workload', async () => {
    await delivery.publish(
      { workload: { namespace: 'foo', kind: 'pod', name: 'ghost' }, digest: 'x', json: '{}', chunks: [] },
      {},
      new AbortController().signal,
    );
    clusterState.pods.upsert(pod());
    clusterState.pods.upsert(pod({ name: 'bare', agent: false }));
    clusterState.upsertPolicy(deny('no-get'));
    runPipeline();
    await quiet();

    expect([...delivery.published.keys()]).to.deep.equal(['foo/pod/httpbin']);
    expect(denied()).to.deep.equal(['no-get']);
    expect(ledger.get('foo/pod/httpbin')?.published?.revision).to.equal(delivery.published.get('foo/pod/httpbin')?.digest);
    expect(ledger.get('foo/pod/httpbin')?.policies).to.deep.equal(new Map([['AuthorizationPolicy/foo/no-get', 1]]));
  });

  it('publishes only the bundles that a change affects', async () => {
    clusterState.pods.upsert(pod());
    clusterState.pods.upsert(pod({ name: 'sleep', labels: { app: 'sleep' } }));
    clusterState.pods.upsert(pod({ namespace: 'bar' }));
    runPipeline();
    await quiet();
    const before = delivery.calls.length;
    clusterState.upsertPolicy(deny('no-get', { labels: { app: 'httpbin' } }));
    await quiet();

    expect(delivery.calls.slice(before)).to.deep.equal(['updated foo/pod/httpbin']);
  });

  it('updates the bundle when pods appear, change their labels and disappear', async () => {
    clusterState.upsertPolicy(deny('no-get', { labels: { stage: 'prod' } }));
    runPipeline();
    clusterState.pods.upsert(pod());
    await quiet();
    expect(denied()).to.deep.equal([]);

    clusterState.pods.upsert(pod({ labels: { app: 'httpbin', stage: 'prod' } }));
    await quiet();
    expect(denied()).to.deep.equal(['no-get']);

    clusterState.pods.remove('foo/httpbin');
    await quiet();
    expect(delivery.calls.at(-1)).to.equal('removed foo/pod/httpbin');
    expect(ledger.get('foo/pod/httpbin')).to.equal(undefined);
  });

  it('publishes few bundles when many policies of one workload change', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    for (let count = 0; count < 100; count += 1) clusterState.upsertPolicy(deny(`p${count}`));
    await quiet();

    expect(denied()).to.have.length(100);
    expect(delivery.calls).to.have.length(2);
  });

  it('repairs a bundle when the delivery reports drift', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    delivery.tamper(HTTPBIN);
    await quiet();
    expect(delivery.calls).to.deep.equal(['created foo/pod/httpbin', 'created foo/pod/httpbin']);
  });

  it('compiles every bundle again when the mesh settings change', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    mesh = { ...mesh, pathNormalization: 'NONE' };
    pipeline.notify({ kind: 'mesh' });
    await quiet();
    expect(bundle()?.programs[0]?.pathNormalization).to.equal('NONE');
  });

  it('removes the bundle when its namespace is being deleted', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    clusterState.namespaces.upsert({ name: 'foo', labels: {}, terminating: true });
    await quiet();
    expect(delivery.published.size).to.equal(0);
  });
});

describe('pipeline: pods and their owners', () => {
  setUp();

  it('patches pods once their bundle is published, and without another write one that gets its volume later', async () => {
    clusterState.pods.upsert(pod({ ip: 'needs-resync' }));
    runPipeline();
    await until(() => patched.length === 1, 'the first patch');
    const digest = delivery.published.get('foo/pod/httpbin')?.digest;
    expect(patched).to.deep.equal([`needs-resync ${digest}`]);

    clusterState.pods.upsert(pod({ ip: 'needs-resync-too' }));
    await until(() => patched.length === 2, 'the second patch');
    expect(patched).to.deep.equal([`needs-resync ${digest}`, `needs-resync-too ${digest}`]);
    expect(delivery.calls).to.deep.equal(['created foo/pod/httpbin']);
  });

  it('publishes the bundle of an edit before those of a change of all workloads', async () => {
    for (let at = 0; at < 40; at += 1) clusterState.pods.upsert(pod({ name: `p${at}`, labels: { app: `p${at}` } }));
    runPipeline();
    await quiet();
    const before = delivery.calls.length;
    clusterState.upsertPolicy(deny('mesh', { namespace: 'istio-system' }));
    clusterState.upsertPolicy(deny('edit', { labels: { app: 'p39' } }));
    await quiet();

    const updated = delivery.calls.slice(before);
    expect(updated[0]).to.equal('updated foo/pod/p39');
    expect(updated).to.have.length(40);
  });

  it('patches a pod that got its volume while the bundle was being written', async () => {
    const { publish } = delivery;
    Object.assign(delivery, {
      publish: async (...args: Parameters<typeof publish>) => {
        clusterState.pods.upsert(pod({ ip: 'needs-resync' }));
        return publish(...args);
      },
    });
    clusterState.pods.upsert(pod());
    runPipeline();
    await until(() => patched.length > 0, 'the patch');
    expect(patched).to.deep.equal([`needs-resync ${delivery.published.get('foo/pod/httpbin')?.digest}`]);
  });

  const owners: readonly { readonly name: string; readonly pods: readonly SlimPod[]; readonly owner: string | undefined }[] = [
    { name: 'a bare pod', pods: [pod()], owner: 'Pod' },
    {
      name: 'a StatefulSet, which may not exist',
      pods: [pod({ name: 'httpbin-0', owner: { kind: 'StatefulSet', name: 'httpbin' } })],
      owner: undefined,
    },
    {
      name: 'a bare pod that is being deleted',
      pods: [{ ...pod(), deletionTimestamp: '2026-01-01T00:00:00Z' }],
      owner: undefined,
    },
    { name: 'two bare pods of one workload', pods: [pod(), { ...pod({ name: 'other' }), generateName: 'httpbin-' }], owner: undefined },
    {
      name: 'a Deployment, whose ReplicaSets are replaced',
      pods: [pod({ name: 'httpbin-abc-1', labels: { 'pod-template-hash': 'abc' }, owner: { kind: 'ReplicaSet', name: 'httpbin-abc' } })],
      owner: undefined,
    },
    {
      name: 'two owners of one name',
      pods: [
        pod({ name: 'a', owner: { kind: 'StatefulSet', name: 'httpbin', uid: 'one' } }),
        pod({ name: 'b', owner: { kind: 'StatefulSet', name: 'httpbin', uid: 'two' } }),
      ],
      owner: undefined,
    },
  ];
  for (const { name, pods, owner } of owners) {
    it(`${owner === undefined ? 'sets no owner on the bundle of' : 'makes the bundle owned by'} ${name}`, async () => {
      for (const one of pods) clusterState.pods.upsert(one);
      runPipeline();
      await quiet();
      expect([...delivery.options.values()].map((options) => options.owner?.kind)).to.deep.equal([owner]);
    });
  }
});

describe('pipeline: errors', () => {
  setUp();

  it('retries when the delivery fails with a transient error', async () => {
    clusterState.pods.upsert(pod());
    delivery.failWith = new TransientError('SP_KUBE_API', 'down');
    runPipeline();
    await until(() => results.includes('error'), 'the failure');
    clock.advance(10);
    await until(() => results.includes('success'), 'the retry');
    expect(delivery.calls).to.deep.equal(['created foo/pod/httpbin']);
  });

  it('keeps the published revision in the ledger when a new bundle is refused, with the reason', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    const good = ledger.get('foo/pod/httpbin')?.published?.revision;
    delivery.failWith = new RefusedError('SP_TOO_LARGE', 'too large');
    clusterState.upsertPolicy(deny('no-get'));
    await until(() => results.includes('terminal_error'), 'the refusal');

    expect(ledger.get('foo/pod/httpbin')?.published).to.include({ revision: good });
    expect(ledger.get('foo/pod/httpbin')?.refusal).to.include({ code: 'SP_TOO_LARGE', message: 'too large' });

    clusterState.upsertPolicy(deny('no-get', { generation: 2 }));
    await quiet();
    expect(ledger.get('foo/pod/httpbin')?.refusal).to.equal(undefined);
  });

  for (const [code, sentence] of [
    ['SP_KUBE_FORBIDDEN', 'configmaps "sallyport-bundle-pod.httpbin" is forbidden: exceeded quota: few'],
    ['SP_KUBE_INVALID', "ValidatingAdmissionPolicy 'labels' denied request: no owner label"],
  ] as const) {
    it(`publishes as soon as the API server accepts a bundle that it refused with ${code}, without any change`, async () => {
      clusterState.pods.upsert(pod());
      delivery.failWith = new RefusedError(code, 'PATCH /x: 4xx', { sentence });
      runPipeline();
      await until(() => results.includes('error'), 'the refusal');
      expect(ledger.get('foo/pod/httpbin')?.refusal).to.include({ code, message: sentence });
      clock.advance(2_000);
      await until(() => results.includes('success'), 'the retry');
      expect(ledger.get('foo/pod/httpbin')?.refusal).to.equal(undefined);
    });
  }

  it('lets pods mount a bundle whose copy for agents of the version before is refused, and then reports the refusal', async () => {
    clusterState.pods.upsert(pod({ ip: 'needs-resync' }));
    delivery.failLegacyWith = new RefusedError('SP_TOO_LARGE', 'too large for one');
    runPipeline();
    await until(() => results.includes('terminal_error'), 'the refusal');

    const digest = delivery.published.get('foo/pod/httpbin')?.digest;
    expect(ledger.get('foo/pod/httpbin')?.published?.revision).to.equal(digest);
    await until(() => patched.length > 0, 'the patch');
    expect(patched).to.deep.equal([`needs-resync ${digest}`]);
    expect(ledger.get('foo/pod/httpbin')?.refusal).to.include({ code: 'SP_TOO_LARGE', message: 'too large for one' });
  });

  it('retries a copy for agents of the version before that failed', async () => {
    clusterState.pods.upsert(pod({ ip: 'needs-resync' }));
    delivery.failLegacyWith = new TransientError('SP_KUBE_API', 'unavailable');
    runPipeline();
    await until(() => results.includes('error') && patched.length === 1, 'the failure and the patch');
    clock.advance(2_000);
    await until(() => results.includes('success'), 'the retry');
    expect(ledger.get('foo/pod/httpbin')?.refusal).to.equal(undefined);
  });

  it('treats an unknown error as a bug and continues with other workloads', async () => {
    clusterState.pods.upsert(pod());
    clusterState.pods.upsert(pod({ name: 'sleep' }));
    delivery.failWith = new InvariantError('cannot be');
    runPipeline();
    await until(() => results.length === 2, 'both to be handled');
    expect(results.sort()).to.deep.equal(['bug', 'success']);
  });
});

describe('pipeline: resync', () => {
  setUp();

  it('counts a change that only the resync noticed', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    clock.advance(10 * 3_600_000);
    await quiet();
    expect(missed).to.deep.equal([]);

    // A change without an event.
    (delivery.published as Map<string, unknown>).clear();
    clock.advance(10 * 3_600_000);
    await quiet();
    expect(missed).to.deep.equal(['foo/pod/httpbin']);
  });

  it('counts no change that an event reported after the resync', async () => {
    for (const name of ['httpbin', 'sleep']) clusterState.pods.upsert(pod({ name }));
    runPipeline();
    await quiet();
    clock.advance(10 * 3_600_000);
    clusterState.upsertPolicy(deny('no-get'));
    await quiet();
    clusterState.upsertPolicy(deny('no-put'));
    await quiet();
    expect(delivery.calls.filter((call) => call.startsWith('updated'))).to.have.length(4);
    expect(missed).to.deep.equal([]);
  });

  it('counts no change that was queued before the resync', async () => {
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    clusterState.upsertPolicy(deny('no-get'));
    clock.advance(10 * 3_600_000);
    await quiet();
    expect(delivery.calls).to.deep.equal(['created foo/pod/httpbin', 'updated foo/pod/httpbin']);
    expect(missed).to.deep.equal([]);
  });
});

describe('pipeline: keys to fetch', () => {
  setUp();

  let server: KeyServer;
  beforeEach(async () => {
    server = await startKeyServer();
  });
  afterEach(() => server.stop());
  const jwt = (path: string): object => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { namespace: 'foo', name: 'jwt', generation: 1 },
    spec: { jwtRules: [{ issuer: 'me', jwksUri: `${server.origin}${path}` }] },
  });

  it('publishes a policy together with its keys', async () => {
    server.answer('/keys', json(freshJwks('one')));
    clusterState.pods.upsert(pod());
    runPipeline();
    await quiet();
    clusterState.upsertPolicy(jwt('/keys'));
    await until(() => Object.keys(bundle()?.keySets ?? {}).length === 1, 'the keys');

    expect(delivery.calls).to.deep.equal(['created foo/pod/httpbin', 'updated foo/pod/httpbin']);
  });

  it('waits one second for an issuer that does not respond, and then publishes without keys', async () => {
    server.answer('/keys', () => undefined);
    clusterState.pods.upsert(pod());
    clusterState.upsertPolicy(jwt('/keys'));
    runPipeline();
    await until(() => results.includes('requeue_after'), 'the wait');
    expect(delivery.published.size).to.equal(0);
    clock.advance(1_000);
    await until(() => delivery.published.size === 1, 'the bundle');

    expect(bundle()?.programs[0]?.providers).to.have.length(1);
    expect(bundle()?.keySets).to.deep.equal({});
  });

  it('does not wait for an issuer whose policy does not select the workload', async () => {
    server.answer('/keys', () => undefined);
    clusterState.pods.upsert(pod());
    clusterState.upsertPolicy({
      ...jwt('/keys'),
      spec: { selector: { matchLabels: { app: 'other' } }, jwtRules: [{ issuer: 'me', jwksUri: `${server.origin}/keys` }] },
    });
    runPipeline();
    await until(() => delivery.published.size === 1, 'the bundle');
  });

  it('fetches keys again when the annotation of their policy changes, and only then', async () => {
    server.answer('/keys', json(freshJwks('one')));
    clusterState.pods.upsert(pod());
    runPipeline();
    const annotated = (value: string | undefined, generation: number): object => ({
      ...jwt('/keys'),
      metadata: {
        namespace: 'foo',
        name: 'jwt',
        generation,
        ...(value === undefined ? {} : { annotations: { 'sallyport.dev/refresh-keys': value } }),
      },
    });
    clusterState.upsertPolicy(annotated('first', 1));
    await until(() => Object.keys(bundle()?.keySets ?? {}).length === 1, 'the keys');
    const [id = ''] = Object.keys(bundle()?.keySets ?? {});
    server.answer('/keys', json(freshJwks('two')));
    clusterState.upsertPolicy(annotated('first', 2));
    clusterState.upsertPolicy(annotated('second', 2));
    await until(() => bundle()?.keySets[id]?.keys[0]?.['kid'] === 'two', 'the new keys');
    clusterState.upsertPolicy(annotated(undefined, 3));
    await quiet();
    expect(server.requests).to.have.length(2);
  });

  it('stops fetching the keys of a deleted policy', async () => {
    server.answer('/keys', json(freshJwks('one')));
    clusterState.upsertPolicy(jwt('/keys'));
    expect(jwksCache.ages()).to.have.length(1);
    clusterState.removePolicy('RequestAuthentication/foo/jwt');
    expect(jwksCache.ages()).to.deep.equal([]);
  });
});
