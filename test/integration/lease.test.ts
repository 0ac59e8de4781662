/* Leader election on a real API server, among candidates with separate connections. */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { runWithLease } from '../../src/cluster/lease.ts';
import { readObject } from '../../src/cluster/objects.ts';
import { LEASES } from '../../src/cluster/paths.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { until } from '../support/fake-clock.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const PATIENCE_MS = 30_000;

interface Candidate {
  readonly stop: AbortController;
  readonly done: Promise<void>;
  leading(): boolean;
}

describe('lease on a real API server', function () {
  this.timeout(120_000);
  let controlPlane: ControlPlane;
  let proxy: TcpProxy;
  let proxied: string;
  const clients: KubeClient[] = [];
  const candidates: Candidate[] = [];
  /** Current number of leaders, and the maximum so far. */
  let leaders = 0;
  let most = 0;

  before(async () => {
    controlPlane = await startControlPlane();
    proxy = await startTcpProxy(controlPlane.url);
    proxied = `${controlPlane.kubeconfigPath}.proxied`;
    const text = await readFile(controlPlane.kubeconfigPath, 'utf8');
    await writeFile(proxied, text.replaceAll(controlPlane.url, `https://127.0.0.1:${proxy.port}`));
  });

  beforeEach(() => {
    most = 0;
  });

  afterEach(async () => {
    proxy.restore();
    for (const candidate of candidates) candidate.stop.abort();
    await Promise.all(candidates.map((candidate) => candidate.done));
    await Promise.all(clients.map((client) => client.close()));
    candidates.length = 0;
    clients.length = 0;
  });

  after(async () => {
    await proxy.stop();
    await controlPlane.stop();
  });

  const connect = (kubeconfig: string): KubeClient => {
    const client = createKubeClient({ kubeconfig, version: 'test' });
    clients.push(client);
    return client;
  };

  /** All durations are shortened by the same factor, so that the tests do not take minutes. */
  const contend = (name: string, identity: string, kubeconfig = controlPlane.kubeconfigPath): Candidate => {
    const stop = new AbortController();
    let leading = false;
    const lead = async (signal: AbortSignal): Promise<void> => {
      leading = true;
      leaders += 1;
      most = Math.max(most, leaders);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      leaders -= 1;
      leading = false;
    };
    const logger = createLogger({ level: 'silent', component: 'test' });
    const durations = { leaseDurationMs: 3_000, renewDeadlineMs: 2_000, retryPeriodMs: 300 };
    const options = { client: connect(kubeconfig), namespace: 'default', name, identity, logger, ...durations };
    const candidate = { stop, done: runWithLease(options, lead, stop.signal), leading: () => leading };
    candidates.push(candidate);
    return candidate;
  };

  const specOf = async (name: string): Promise<Record<string, unknown>> => {
    const lease = await readObject(connect(controlPlane.kubeconfigPath), { resource: LEASES, namespace: 'default', name });
    return (lease?.['spec'] ?? {}) as Record<string, unknown>;
  };

  it('elects exactly one of five candidates, which leads beyond the lease duration', async () => {
    const five = ['a', 'b', 'c', 'd', 'e'].map((identity) => contend('five', identity));
    await until(() => leaders === 1, 'a leader', PATIENCE_MS);
    const leader = five.find((candidate) => candidate.leading());
    await delay(4_000);

    expect(leader?.leading()).to.equal(true);
    expect(most).to.equal(1);
    expect(await specOf('five')).to.include({ leaseDurationSeconds: 3, leaseTransitions: 0 });
  });

  it('hands over immediately when the leader stops', async () => {
    const one = contend('handover', 'one');
    await until(() => one.leading(), 'the first leader', PATIENCE_MS);
    const two = contend('handover', 'two');
    await delay(500);
    one.stop.abort();
    await one.done;
    const releasedMs = performance.now();
    await until(() => two.leading(), 'the second leader', PATIENCE_MS);

    expect(performance.now() - releasedMs).to.be.below(2_500);
    expect(most).to.equal(1);
    expect(await specOf('handover')).to.include({ holderIdentity: 'two', leaseTransitions: 1 });
  });

  for (const fault of ['cut', 'freeze'] as const) {
    it(`fails over when the leader’s connection is ${fault === 'cut' ? 'cut' : 'held'}, and never has two leaders`, async () => {
      const one = contend(`lost-${fault}`, 'one', proxied);
      await until(() => one.leading(), 'the first leader', PATIENCE_MS);
      const two = contend(`lost-${fault}`, 'two');
      await delay(500);
      const holding = setInterval(() => proxy[fault](), 10);
      proxy[fault]();
      await until(() => two.leading(), 'the second leader', PATIENCE_MS);
      expect(one.leading()).to.equal(false);
      clearInterval(holding);
      proxy.restore();
      await delay(1_500);

      expect(one.leading()).to.equal(false);
      expect(two.leading()).to.equal(true);
      expect(most).to.equal(1);
    });
  }

  it('keeps its lease when a connection dies silently', async () => {
    const one = contend('mute', 'one', proxied);
    await until(() => one.leading(), 'the leader', PATIENCE_MS);
    const before = (await specOf('mute'))['renewTime'];
    proxy.freeze();
    await delay(2_500);

    expect(one.leading()).to.equal(true);
    expect(most).to.equal(1);
    expect((await specOf('mute'))['renewTime']).to.not.equal(before);
  });

  it('waits without leading while it has no permission for the lease', async () => {
    const one = contend('forbidden', 'one', await controlPlane.kubeconfigAs('nobody'));
    await delay(1_000);

    expect(one.leading()).to.equal(false);
    expect(await specOf('forbidden')).to.deep.equal({});
  });
});
