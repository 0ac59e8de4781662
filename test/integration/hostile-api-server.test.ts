/*
 * After any order of edits, relabelled pods, restarts, changes of leader, broken watches and changes of bundles by others, on a way to a real API
 * server that refuses, delays and loses requests, two replicas converge: a controller that starts after them finds nothing to write.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { AUTHORIZATION_POLICIES, CONFIG_MAPS, collectionPath, objectPath } from '../../src/cluster/paths.ts';
import { createRandom } from '../../src/explain/generate/random.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ApiProxy, type Fate, startApiProxy } from '../support/api-proxy.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { ACCOUNT, AP, manifests, RIGHTS } from '../support/controller-stage.ts';
import { until } from '../support/fake-clock.ts';
import { GROUPS } from '../support/feed-stage.ts';
import { type Condition, openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';
import { SEED } from '../support/seed.ts';

const SYSTEM = 'sallyport-system';
const ROOT = 'istio-system';
const STEPS = 60;
/** Longer than a request waits for its response. */
const QUIET_MS = 15_000;
const PATIENCE_MS = 120_000;
const LEADS = 'leader_election_master_status{name="sallyport-controller"}';
/** Writes that a controller makes although nothing has changed. */
const HOUSEKEEPING = /\/leases\/|\/leases$|\/events|\/leases\?|\/events\?/;

const FAULTS: readonly Fate[] = [
  { kind: 'status', status: 409 },
  { kind: 'status', status: 429 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 410 },
  { kind: 'mute' },
  { kind: 'delay', delayMs: 300 },
  { kind: 'delay', delayMs: 1_500 },
];

/** One step; its text names it when the test fails. */
interface Step {
  readonly text: string;
  readonly run: () => Promise<unknown>;
}

describe('a hostile way to the API server', function () {
  this.timeout(600_000);
  let plane: ControlPlane;
  let cluster: PolicyCluster;
  let proxy: ApiProxy;
  const replicas = new Map<string, ControllerProcess>();
  let isHostile = false;
  const random = createRandom(SEED);
  const faults = new Map<string, number>();
  let lastWriteMs = 0;
  let writes: string[] = [];

  const fateOf = (method: string, url: string): Fate => {
    if (method !== 'GET' && !HOUSEKEEPING.test(url)) {
      lastWriteMs = performance.now();
      writes.push(`${method} ${url}`);
    }
    // A leader that cannot renew its lease does nothing, which is another test.
    if (!isHostile || HOUSEKEEPING.test(url) || random(10) > 2) return { kind: 'forward' };
    const fate = FAULTS[random(FAULTS.length)] ?? { kind: 'forward' };
    const kind = fate.kind === 'status' ? String(fate.status) : fate.kind;
    faults.set(kind, (faults.get(kind) ?? 0) + 1);
    return fate;
  };
  const start = async (name: string): Promise<ControllerProcess> => {
    const started = await startController({ kubeconfig: proxy.kubeconfig, name, namespace: SYSTEM, level: 'info' });
    replicas.set(name, started);
    return started;
  };
  const leads = async (one: ControllerProcess): Promise<boolean> => (await one.metric(LEADS)) === 1;
  const untilOneLeads = (): Promise<void> =>
    until(
      async () => {
        for (const one of replicas.values()) if (await leads(one)) return true;
        return false;
      },
      'a leader',
      PATIENCE_MS,
    );
  const isIdle = async (one: ControllerProcess): Promise<boolean> => {
    const depths = ['workload', 'policy-status', 'pod-touch'].map((queue) => one.metric(`workqueue_depth{name="${queue}"}`));
    return (await Promise.all(depths)).every((depth) => depth === 0);
  };

  /** The conditions of each policy, by the path of its status. */
  const conditions = async (): Promise<ReadonlyMap<string, readonly Condition[]>> => {
    const { json } = await cluster.client.request({ method: 'GET', path: collectionPath(AUTHORIZATION_POLICIES) });
    return new Map(
      (json as { readonly items: readonly RawObject[] }).items.map((object) => {
        const { namespace = '', name = '' } = object.metadata ?? {};
        const status = (object['status'] ?? {}) as { readonly conditions?: readonly Condition[] };
        return [`${objectPath({ resource: AUTHORIZATION_POLICIES, namespace, name })}/status`, status.conditions ?? []];
      }),
    );
  };
  const restart = async (name: string, isKilled: boolean): Promise<void> => {
    const one = replicas.get(name);
    await (isKilled ? one?.kill() : one?.stop());
    replicas.delete(name);
    await start(name);
  };
  const deny = (path: string, app: string | undefined): object => ({
    action: 'DENY',
    rules: [{ to: [{ operation: { paths: [path] } }] }],
    ...(app === undefined ? {} : { selector: { matchLabels: { app } } }),
  });
  const ignoreMissing = (): undefined => undefined;
  const namespaces = fc.constantFrom('foo', 'bar');
  const apps = fc.constantFrom('a', 'b');
  const step = (text: string, run: Step['run']): Step => ({ text, run });
  const steps = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom('foo', 'bar', ROOT), fc.constantFrom('p', 'q'), fc.option(apps, { nil: undefined }), fc.nat(9))
        .map(([namespace, name, app, path]) =>
          step(`edit ${namespace}/${name} app=${app} /${path}`, () => cluster.policy(AP, name, namespace, deny(`/${path}`, app))),
        ),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom('foo', 'bar', ROOT), fc.constantFrom('p', 'q'))
        .map(([namespace, name]) =>
          step(`delete ${namespace}/${name}`, () => cluster.deletePolicy(AP, name, namespace).catch(ignoreMissing)),
        ),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(namespaces, fc.nat(3), apps)
        .map(([namespace, at, app]) =>
          step(`pod ${namespace}/w${at} app=${app}`, () => cluster.pod({ namespace, name: `w${at}`, labels: { app }, ip: `10.0.0.${at}` })),
        ),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(namespaces, fc.nat(3))
        .map(([namespace, at]) =>
          step(`delete pod ${namespace}/w${at}`, () => cluster.deletePod(namespace, `w${at}`).catch(ignoreMissing)),
        ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(namespaces, fc.nat(3)).map(([namespace, at]) =>
        step(`another client changes the bundle of ${namespace}/w${at}`, () =>
          cluster.client
            .request({
              method: 'PATCH',
              path: objectPath({ resource: CONFIG_MAPS, namespace, name: `sallyport-bundle-pod.w${at}.0` }),
              body: { data: { part: '{}' } },
              contentType: 'application/merge-patch+json',
            })
            .catch(ignoreMissing),
        ),
      ),
    },
    { weight: 2, arbitrary: fc.constant(step('cut the watches', () => Promise.resolve(proxy.cutWatches()))) },
    { weight: 2, arbitrary: fc.nat(1_000).map((ms) => step(`${ms} ms`, () => delay(ms))) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('one', 'two'), fc.boolean())
        .map(([name, isKilled]) => step(`${isKilled ? 'kill' : 'restart'} ${name}`, () => restart(name, isKilled))),
    },
  );

  before(async () => {
    plane = await startControlPlane();
    cluster = await openPolicyCluster(plane.kubeconfigPath);
    for (const object of manifests()) if (RIGHTS.includes(object.kind) || object.kind === 'Secret') await cluster.apply(object);
    for (const name of ['foo', 'bar', ROOT]) await cluster.namespace(name);
    proxy = await startApiProxy({ admin: plane.kubeconfigPath, user: ACCOUNT, groups: GROUPS, fateOf });
    for (const name of ['one', 'two']) await start(name);
    await untilOneLeads();
    await until(async () => (await cluster.client.request({ method: 'GET', path: SECRET }).catch(ignoreMissing)) !== undefined, 'keys');
  });

  after(async () => {
    for (const one of replicas.values()) await one.stop();
    const parts = { cluster, proxy, plane } as Partial<{ cluster: PolicyCluster; proxy: ApiProxy; plane: ControlPlane }>;
    await parts.proxy?.stop();
    await parts.cluster?.close();
    await parts.plane?.stop();
  });

  it('leaves nothing that a controller would write that starts afterwards', async () => {
    const [sequence = []] = fc.sample(fc.array(steps, { minLength: STEPS, maxLength: STEPS }), { seed: SEED, numRuns: 1 });
    isHostile = true;
    for (const { run } of sequence) await run();
    isHostile = false;
    // A client whose response was lost would wait for 10 s, or 30 s for a watch.
    proxy.endMuted();
    proxy.cutWatches();

    await untilOneLeads();
    lastWriteMs = performance.now();
    await until(() => performance.now() - lastWriteMs > QUIET_MS, 'the end of the writes', PATIENCE_MS);
    for (const one of replicas.values()) await one.stop();
    replicas.clear();
    writes = [];
    const before = await conditions();
    const fresh = await start('three');
    await until(() => leads(fresh), 'the next leader', PATIENCE_MS);
    await until(() => isIdle(fresh), 'all bundles and statuses to be verified', PATIENCE_MS);
    lastWriteMs = performance.now();
    await until(() => performance.now() - lastWriteMs > QUIET_MS / 2, 'the end of the writes', PATIENCE_MS);
    // What only the former leader saw is not said by the next one.
    const isSeen = ({ type }: Condition): boolean => type === 'Tampered';
    const lasting = (all: Awaited<ReturnType<typeof conditions>>): object =>
      Object.fromEntries([...all].map(([path, list]) => [path, list.filter((one) => !isSeen(one))]));
    expect(lasting(await conditions())).to.deep.equal(lasting(before));
    const seen = [...before].flatMap(([path, list]) => (list.some(isSeen) ? [path] : []));
    const unexpected = writes.filter((write) => !seen.some((path) => write.includes(path)));
    expect(unexpected, sequence.map(({ text }) => text).join('; ')).to.deep.equal([]);
    expect([...faults.keys()].sort(), 'every kind of fault').to.deep.equal(['409', '410', '429', '500', '503', 'delay', 'mute']);
    expect(await fresh.metric('sallyport_bundle_publish_total{result="unchanged"}')).to.be.greaterThan(0);
    expect(await fresh.metric('sallyport_status_write_total{result="unchanged"}')).to.be.greaterThan(0);
  });
});

const SECRET = `/api/v1/namespaces/${SYSTEM}/secrets/sallyport-signing-keys`;
