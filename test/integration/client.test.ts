/* The client on a real API server: connection reuse, rejections, deadlines. */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { CONFIG_MAPS, collectionPath, PODS } from '../../src/cluster/paths.ts';
import { RefusedError } from '../../src/errors.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { until } from '../support/fake-clock.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

describe('client on a real API server', function () {
  let controlPlane: ControlPlane;
  let proxy: TcpProxy;
  let kubeconfig: string;

  before(async () => {
    controlPlane = await startControlPlane();
    proxy = await startTcpProxy(controlPlane.url);
    kubeconfig = `${controlPlane.kubeconfigPath}.proxied`;
    const text = await readFile(controlPlane.kubeconfigPath, 'utf8');
    await writeFile(kubeconfig, text.replaceAll(controlPlane.url, `https://127.0.0.1:${proxy.port}`));
  });

  after(async () => {
    await proxy.stop();
    await controlPlane.stop();
  });

  const withClient = async (path: string, use: (client: KubeClient) => Promise<void>): Promise<void> => {
    const client = createKubeClient({ kubeconfig: path, version: 'test', qps: 10_000, burst: 10_000 });
    try {
      await use(client);
    } finally {
      await client.close();
    }
  };
  const list = { method: 'GET', path: collectionPath(CONFIG_MAPS, 'default') } as const;

  it('uses no more connections than concurrent requests for 300 requests and a watch', async () => {
    await withClient(kubeconfig, async (client) => {
      const before = proxy.connections();
      const stop = new AbortController();
      await client.request(list);
      const watch = await client.stream({ ...list, query: { watch: true }, signal: stop.signal });
      for (let round = 0; round < 250; round += 1) await client.request(list);
      // A connection is free shortly after its response, so that sequential requests may alternate between a few connections.
      expect(proxy.connections() - before).to.be.at.most(6);

      for (let round = 0; round < 5; round += 1) await Promise.all(Array.from({ length: 10 }, () => client.request(list)));
      expect(proxy.connections() - before).to.be.at.most(22);
      stop.abort();
      await watch.body[Symbol.asyncIterator]()
        .next()
        .catch(() => undefined);
    });
  });

  it('closes its connections when it is closed', async () => {
    await until(() => proxy.open() === 0, 'the connections to end');
    await withClient(kubeconfig, async (client) => {
      await client.request(list);
      expect(proxy.open()).to.equal(1);
    });
    await until(() => proxy.open() === 0, 'the connections to end');
  });

  it('recovers from a cut connection', async () => {
    await withClient(kubeconfig, async (client) => {
      await client.request(list);
      proxy.cut();
      let thrown: unknown;
      await client.request(list).catch((error: unknown) => {
        thrown = error;
      });
      expect(thrown).to.have.property('code', 'SP_KUBE_API');
      proxy.restore();
      expect((await client.request(list)).status).to.equal(200);
    });
  });

  it('reports the deadline on a hanging connection, and abandons it', async () => {
    await withClient(kubeconfig, async (client) => {
      await client.request(list);
      // The connection is free for the next request shortly after the response.
      await delay(50);
      proxy.freeze();
      const before = proxy.connections();
      const [hanging] = await Promise.allSettled([client.request({ ...list, timeoutMs: 300 })]);
      expect(hanging).to.have.nested.property('reason.code', 'SP_TIMEOUT');

      expect((await client.request(list)).status).to.equal(200);
      expect((await client.request(list)).status).to.equal(200);
      expect(proxy.connections() - before).to.be.within(1, 2);
    });
    proxy.restore();
  });

  it('distinguishes a missing permission from a missing object', async () => {
    const nobody = await controlPlane.kubeconfigAs('nobody');
    await withClient(nobody, async (client) => {
      let thrown: unknown;
      await client.request({ method: 'GET', path: collectionPath(PODS) }).catch((error: unknown) => {
        thrown = error;
      });
      expect(thrown).to.be.instanceOf(RefusedError);
      expect(thrown).to.include({ code: 'SP_KUBE_FORBIDDEN', message: 'GET /api/v1/pods: 403 Forbidden' });
    });
    await withClient(kubeconfig, async (client) => {
      let thrown: unknown;
      await client.request({ ...list, path: `${list.path}/not-there` }).catch((error: unknown) => {
        thrown = error;
      });
      expect(thrown).to.include({
        code: 'SP_KUBE_NOT_FOUND',
        message: 'GET /api/v1/namespaces/default/configmaps/not-there: 404 NotFound',
      });
    });
  });

  it('reports the fields of a rejected object without their values', async () => {
    await withClient(kubeconfig, async (client) => {
      let thrown: unknown;
      const body = { metadata: { name: 'x' }, spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 99_999_999 }] }] } };
      await client.request({ method: 'POST', path: collectionPath(PODS, 'default'), body }).catch((error: unknown) => {
        thrown = error;
      });
      expect(thrown).to.have.property('code', 'SP_KUBE_INVALID');
      expect(thrown)
        .to.have.property('message')
        .that.includes('spec.containers[0].ports[0].containerPort')
        .and.does.not.include('99999999');
    });
  });
});
