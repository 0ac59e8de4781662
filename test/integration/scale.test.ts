/*
 * How many requests and writes a hundred workloads cost, on a real API server: `test/bench/control-plane.ts` measures a thousand, and time.
 */
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { objectPath, PODS } from '../../src/cluster/paths.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import {
  allKeys,
  type ClusterSize,
  fillCluster,
  keyOfWorkload,
  meshSpec,
  namespaceOf,
  parallel,
  podName,
  type WrittenWatch,
  watchWritten,
  workloadSpec,
  writePolicy,
} from '../support/loaded-cluster.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const SIZE: ClusterSize = { namespaces: 10, workloads: 10, pods: 2 };
const WORKLOADS = 100;
const PODS_OF_ALL = 200;
const POLICIES = 101;
const PATIENCE_MS = 60_000;
const SYSTEM = 'sallyport-system';
const QUEUES = ['workload', 'policy-status', 'pod-touch'];

/** What was done so far. `writes`: requests other than GET. */
interface Counts {
  readonly writes: number;
  readonly compiled: number;
  readonly published: number;
  readonly touches: number;
  readonly statuses: number;
}

let controlPlane: ControlPlane;
let cluster: PolicyCluster;
let client: KubeClient;
let watch: WrittenWatch;
let controller: ControllerProcess;

/** Without leader election, so that no request is one for the lease. */
const start = (): Promise<ControllerProcess> =>
  startController({
    kubeconfig: controlPlane.kubeconfigPath,
    name: 'scale',
    namespace: SYSTEM,
    level: 'info',
    env: { SALLYPORT_LEADER_ELECT: 'false' },
  });

async function counts(): Promise<Counts> {
  const { text } = await controller.get('/metrics');
  const sum = (pattern: RegExp): number =>
    text
      .split('\n')
      .filter((line) => pattern.test(line))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return {
    writes: sum(/^rest_client_requests_total\{.*method="(?!GET)/),
    compiled: sum(/^sallyport_bundle_compile_seconds_count /),
    published: sum(/^sallyport_bundle_publish_total\{result="(created|updated|repaired)"/),
    touches: sum(/^sallyport_pod_touch_total\{/),
    statuses: sum(/^sallyport_status_write_total\{result="updated"/),
  };
}

/** Waits until all that was queued is done, including statuses that are due later. */
async function settle(): Promise<void> {
  let quiet = 0;
  let before = '';
  const isQuiet = async (): Promise<boolean> => {
    const { text } = await controller.get('/metrics');
    const lines = text.split('\n').filter((line) => /^(workqueue_(adds|depth)|controller_runtime_active_workers|sallyport_)/.test(line));
    const now = lines.filter((line) => !line.includes('seconds')).join('\n');
    const isBusy = QUEUES.some((queue) => !now.includes(`workqueue_depth{name="${queue}"} 0`));
    quiet = isBusy || now !== before ? 0 : quiet + 1;
    before = now;
    return quiet >= 40;
  };
  await until(isQuiet, 'the controller to be idle', PATIENCE_MS);
}

/** What `run` cost. */
async function cost(run: () => Promise<unknown>): Promise<Counts> {
  const before = await counts();
  await run();
  await settle();
  const after = await counts();
  return Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - before[name as keyof Counts]]),
  ) as unknown as Counts;
}

const editWorkload = (at: number, mark: string): Promise<unknown> =>
  watch.edit([keyOfWorkload(SIZE, at)], () =>
    writePolicy(client, { namespace: namespaceOf(SIZE, at), name: `w${at}` }, workloadSpec(at, mark)),
  );

describe('requests and writes for a hundred workloads', function () {
  this.timeout(180_000);

  before(async () => {
    controlPlane = await startControlPlane();
    cluster = await openPolicyCluster(controlPlane.kubeconfigPath);
    client = createKubeClient({ kubeconfig: controlPlane.kubeconfigPath, version: 'test', qps: 5_000, burst: 5_000 });
    for (const name of ['istio-system', SYSTEM]) await cluster.namespace(name);
    watch = await watchWritten(client);
    controller = await start();
    await until(async () => (await controller.metric('sallyport_signing_keys_usable')) === 1, 'the signing keys', PATIENCE_MS);
    await controller.stop();
    await fillCluster(client, SIZE);
  });

  after(async () => {
    await controller.stop();
    await watch.stop();
    await client.close();
    await cluster.close();
    await controlPlane.stop();
  });

  it('publishes each bundle once at the first start', async () => {
    controller = await start();
    await until(() => watch.bundles.size === WORKLOADS && watch.untouched() === 0, 'all bundles and annotations', PATIENCE_MS);
    await settle();
    const done = await counts();

    expect(done).to.include({ published: WORKLOADS, touches: PODS_OF_ALL });
    expect(done.statuses).to.be.within(POLICIES, 2 * POLICIES);
    // Two copies of the index of each namespace.
    expect(done.writes - done.published - done.touches - done.statuses).to.be.at.most(2 * SIZE.namespaces + 5);
  });

  it('writes nothing after a restart', async () => {
    await controller.stop();
    controller = await start();
    await until(
      async () => ((await controller.metric('sallyport_status_write_total{result="unchanged"}')) ?? 0) >= POLICIES,
      'all statuses to be compared',
      PATIENCE_MS,
    );
    await settle();

    expect(await counts()).to.include({ writes: 0, compiled: WORKLOADS });
  });

  it('writes one bundle, its annotations and its status for an edit of one workload', async () => {
    const done = await cost(() => editWorkload(7, 'edit'));

    expect(done).to.include({ compiled: 1, published: 1, touches: SIZE.pods });
    expect(done.statuses).to.be.within(1, 2);
    expect(done.writes).to.equal(done.published + done.touches + done.statuses);
  });

  it('writes each bundle once for an edit of the whole mesh', async () => {
    const done = await cost(() =>
      watch.edit(allKeys(SIZE), () => writePolicy(client, { namespace: 'istio-system', name: 'mesh' }, meshSpec('edit'))),
    );

    expect(done).to.include({ compiled: WORKLOADS, published: WORKLOADS, touches: PODS_OF_ALL });
    // A status that was written meanwhile is written again.
    expect(done.writes).to.be.within(done.published + done.touches + done.statuses, done.published + done.touches + 2 * done.statuses);
    expect(watch.untouched()).to.equal(0);
  });

  it('does nothing for labels that no selector names', async () => {
    const done = await cost(() =>
      parallel(PODS_OF_ALL, 8, (at) =>
        client.request({
          method: 'PATCH',
          path: objectPath({ resource: PODS, ...podName(SIZE, at) }),
          body: { metadata: { labels: { churn: `c${at}` } } },
          contentType: 'application/merge-patch+json',
        }),
      ),
    );

    expect(done).to.deep.equal({ writes: 0, compiled: 0, published: 0, touches: 0, statuses: 0 });
  });
});
