/* The reflector on a real API server: ten thousand objects, disconnects, compacted history, a restarted server. */
import { readFile, writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { CONFIG_MAPS, collectionPath, objectPath, PODS, type Resource } from '../../src/cluster/paths.ts';
import { createReflector, type Reflector, type RestartReason } from '../../src/cluster/reflector.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { compactEtcd, restartApiServer } from '../support/api-server-restart.ts';
import { until } from '../support/fake-clock.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const PATIENCE_MS = 40_000;
const PODS_TOTAL = 10_000;

let controlPlane: ControlPlane;
let proxy: TcpProxy;
/** Bypasses the proxy, so that objects change while the reflector is disconnected. */
let direct: KubeClient;
let proxied: string;

/** Registers the hooks of one describe. */
function setUp(): void {
  before(async () => {
    controlPlane = await startControlPlane();
    proxy = await startTcpProxy(controlPlane.url);
    proxied = `${controlPlane.kubeconfigPath}.proxied`;
    const text = await readFile(controlPlane.kubeconfigPath, 'utf8');
    await writeFile(proxied, text.replaceAll(controlPlane.url, `https://127.0.0.1:${proxy.port}`));
    direct = createKubeClient({ kubeconfig: controlPlane.kubeconfigPath, version: 'test', qps: 100_000, burst: 100_000 });
  });

  after(async () => {
    await direct.close();
    await proxy.stop();
    await controlPlane.stop();
  });
}

interface Watching {
  readonly reflector: Reflector;
  readonly client: KubeClient;
  readonly held: Map<string, string>;
  readonly calls: string[];
  readonly restarts: RestartReason[];
  /** Paths and queries of the lists sent. */
  readonly requests: { count: number };
  /** Objects read so far. */
  readonly projections: { count: number };
}

/** Runs `use` with a reflector that keeps the value of the label `v`. */
const withReflector = async (resource: Resource, namespace: string, use: (watching: Watching) => Promise<void>): Promise<void> => {
  const requests = { count: 0 };
  const projections = { count: 0 };
  const client = createKubeClient({
    kubeconfig: proxied,
    version: 'test',
    qps: 1_000,
    burst: 1_000,
    onRequest: () => (requests.count += 1),
  });
  const held = new Map<string, string>();
  const calls: string[] = [];
  const restarts: RestartReason[] = [];
  const reflector = createReflector<string>({
    client,
    resource,
    namespace,
    labelSelector: 'v',
    project: (raw) => {
      projections.count += 1;
      return raw.metadata?.labels?.['v'];
    },
    sink: {
      replace: (objects) => {
        held.clear();
        for (const [key, value] of objects) held.set(key, value);
        calls.push(`replace ${objects.size}`);
      },
      upsert: (key, value) => {
        held.set(key, value);
        calls.push(`upsert ${key}=${value}`);
      },
      remove: (key) => {
        held.delete(key);
        calls.push(`remove ${key}`);
      },
    },
    logger: createLogger({ level: 'silent', component: 'test' }),
    onRestart: (reason) => restarts.push(reason),
  });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  try {
    await use({ reflector, client, held, calls, restarts, requests, projections });
  } finally {
    proxy.restore();
    stop.abort();
    await running;
    await client.close();
  }
};

const createMap = (namespace: string, name: string, v = '1'): Promise<unknown> =>
  direct.request({ method: 'POST', path: collectionPath(CONFIG_MAPS, namespace), body: { metadata: { name, labels: { v } } } });
const relabel = (namespace: string, name: string, v: string | null): Promise<unknown> =>
  direct.request({
    method: 'PATCH',
    path: objectPath({ resource: CONFIG_MAPS, namespace, name }),
    contentType: 'application/merge-patch+json',
    body: { metadata: { labels: { v } } },
  });
const remove = (namespace: string, name: string): Promise<unknown> =>
  direct.request({ method: 'DELETE', path: objectPath({ resource: CONFIG_MAPS, namespace, name }) });
const createNamespace = (name: string): Promise<unknown> =>
  direct.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } });

const serves = (): Promise<unknown> => direct.request({ method: 'GET', path: '/api/v1/namespaces/default', timeoutMs: 1_000 });

describe('reflector on a real API server: changes, disconnects and restarts', function () {
  this.timeout(180_000);
  setUp();

  it('follows creation, change, loss of the label and deletion', async () => {
    await createNamespace('follow');
    await createMap('follow', 'a');
    await withReflector(CONFIG_MAPS, 'follow', async ({ reflector, calls, held }) => {
      await reflector.whenSynced;
      await createMap('follow', 'b');
      await relabel('follow', 'a', '2');
      await relabel('follow', 'b', null);
      await remove('follow', 'a');
      await until(() => held.size === 0 && calls.length >= 5, 'all five', PATIENCE_MS);

      expect(calls).to.deep.equal(['replace 1', 'upsert follow/b=1', 'upsert follow/a=2', 'remove follow/b', 'remove follow/a']);
    });
  });

  it('misses no change when its connection is cut repeatedly, and does not list again', async () => {
    await createNamespace('cuts');
    await withReflector(CONFIG_MAPS, 'cuts', async ({ reflector, held, calls, restarts }) => {
      await reflector.whenSynced;
      for (let round = 0; round < 10; round += 1) {
        proxy.cut();
        await createMap('cuts', `while-cut-${round}`);
        proxy.restore();
        await createMap('cuts', `after-${round}`);
      }
      await until(() => held.size === 20, 'all twenty', PATIENCE_MS);

      expect(calls.filter((line) => line.startsWith('replace'))).to.deep.equal(['replace 0']);
      expect(calls).to.have.length(21);
      expect(restarts.length).to.be.within(1, 60);
      expect(new Set(restarts)).to.deep.equal(new Set(['error']));
    });
  });

  it('recovers after a restart of the API server', async () => {
    await createNamespace('restart');
    await withReflector(CONFIG_MAPS, 'restart', async ({ reflector, held }) => {
      await createMap('restart', 'before');
      await reflector.whenSynced;
      await until(() => held.has('restart/before'), 'the first', PATIENCE_MS);
      await restartApiServer(controlPlane, serves);
      await createMap('restart', 'after');
      await until(() => held.has('restart/after'), 'the second', PATIENCE_MS);

      expect([...held.keys()].sort()).to.deep.equal(['restart/after', 'restart/before']);
    });
  });

  it('lists again when its history was compacted', async () => {
    await createNamespace('compact');
    for (const name of ['stays', 'changes', 'goes']) await createMap('compact', name);
    await withReflector(CONFIG_MAPS, 'compact', async ({ reflector, held, calls, restarts }) => {
      await reflector.whenSynced;
      proxy.cut();
      await relabel('compact', 'changes', '2');
      await remove('compact', 'goes');
      await createMap('compact', 'comes');
      await compactEtcd(controlPlane);
      // The server keeps recent history in memory; only a new process reads from etcd.
      await restartApiServer(controlPlane, serves);
      calls.length = 0;
      proxy.restore();
      await until(() => calls.length > 0, 'the list', PATIENCE_MS);

      expect(calls).to.deep.equal(['replace 3']);
      expect([...held].sort()).to.deep.equal([
        ['compact/changes', '2'],
        ['compact/comes', '1'],
        ['compact/stays', '1'],
      ]);
      expect(restarts).to.include('expired');
    });
  });
});

describe('reflector on a real API server: many objects', function () {
  this.timeout(600_000);
  setUp();

  it('lists ten thousand pods in pages over one or two connections without blocking the process', async () => {
    await createNamespace('many');
    await fill(direct);
    const connectionsBefore = proxy.connections();
    await withReflector(PODS, 'many', async ({ reflector, held, requests, restarts, projections }) => {
      const synced = reflector.whenSynced.then(() => true);
      let [seen, most] = [0, 0];
      while (!(await Promise.race([synced, setImmediate(false)]))) {
        most = Math.max(most, projections.count - seen);
        seen = projections.count;
      }

      expect(held.size).to.equal(PODS_TOTAL);
      expect(requests.count).to.be.within(PODS_TOTAL / 200, PODS_TOTAL / 200 + 1);
      expect(restarts).to.deep.equal([]);
      // A connection is free shortly after its response, when the next page is already asked for.
      expect(proxy.connections() - connectionsBefore).to.be.within(1, 2);
      // Other work has a turn after each page at the latest.
      expect(most).to.be.within(1, 200);
    });
  });
});

async function fill(client: KubeClient): Promise<void> {
  const spec = {
    containers: [
      { name: 'app', image: 'registry.example/app:1', env: [{ name: 'LONG', value: 'x'.repeat(500) }], ports: [{ containerPort: 80 }] },
    ],
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < PODS_TOTAL; index = next++) {
      const metadata = { name: `pod-${index}`, labels: { v: String(index % 7), app: `app-${index % 100}` } };
      await client.request({ method: 'POST', path: collectionPath(PODS, 'many'), body: { metadata, spec } });
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
}
