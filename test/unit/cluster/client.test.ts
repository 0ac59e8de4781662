/* The client against a server that responds, stalls, rejects and disconnects. */
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { createKubeClient, type KubeClient, type RequestSample } from '../../../src/cluster/client.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { answerStatus, type FakeApiServer, kubeconfigFor, startFakeApiServer } from '../../support/fake-api-server.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

const GET = { method: 'GET', path: '/api/v1/pods' } as const;

let server: FakeApiServer;
let clock: FakeClock;
let client: KubeClient;
let samples: RequestSample[];

const failure = async (run: () => Promise<unknown>): Promise<Error> => {
  try {
    await run();
  } catch (thrown) {
    return thrown as Error;
  }
  throw new Error('did not fail');
};

/** Registers the hooks that create and stop the fixture of each test. */
function useFixture(): void {
  beforeEach(async () => {
    server = await startFakeApiServer();
    clock = createFakeClock();
    samples = [];
    client = createKubeClient({
      kubeconfig: server.kubeconfig,
      version: '1.2.3',
      clock,
      burst: 100,
      onRequest: (sample) => samples.push(sample),
    });
  });

  afterEach(async () => {
    await client.close();
    await server.stop();
  });
}

describe('createKubeClient: requests', () => {
  useFixture();

  it('sends method, query, body, credentials and its user agent', async () => {
    await client.request({
      method: 'PATCH',
      path: '/api/v1/namespaces/a/pods/b',
      query: { force: true, limit: 5, absent: undefined },
      body: { x: 1 },
      contentType: 'application/merge-patch+json',
    });

    const [request] = server.requests;
    expect(request).to.include({ method: 'PATCH', path: '/api/v1/namespaces/a/pods/b', body: '{"x":1}' });
    expect(Object.fromEntries(request?.query ?? [])).to.deep.equal({ force: 'true', limit: '5' });
    expect(request?.headers).to.include({
      authorization: 'Bearer a-token',
      'user-agent': 'sallyport/1.2.3',
      'content-type': 'application/merge-patch+json',
    });
  });

  it('refuses a server whose address is not a URL', async () => {
    await writeFile(server.kubeconfig, kubeconfigFor('not an address'));
    const connect = (): unknown => createKubeClient({ kubeconfig: server.kubeconfig, version: '0' });

    expect(connect).to.throw(RefusedError, 'the address of the API server is not a URL: "not an address"');
  });

  it('sends requests below the path of the server, as of a cluster behind a proxy', async () => {
    await writeFile(server.kubeconfig, kubeconfigFor(`${server.url}/k8s/clusters/c-1/`));
    const other = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock });
    await other.request({ ...GET, query: { limit: 1 } }).catch(() => undefined);
    await other.close();

    expect(server.requests[0]?.path).to.equal('/k8s/clusters/c-1/api/v1/pods');
  });

  it('returns no body that the caller does not want', async () => {
    server.put({ metadata: { name: 'a' } });

    expect(await client.request({ ...GET, discard: true })).to.deep.equal({ status: 200, json: undefined });
  });

  it('exposes server and namespace of its context', () => {
    expect(client.server).to.equal(server.url);
    expect(client.namespace).to.equal('home');
  });

  it('returns fields that no model knows', async () => {
    server.put({ metadata: { name: 'a' }, spec: { notYetInvented: { deep: true } } });

    const { json } = await client.request(GET);

    expect(JSON.stringify(json)).to.include('"notYetInvented":{"deep":true}');
  });

  it('reuses its connections', async () => {
    for (let round = 0; round < 30; round += 1) await client.request(GET);

    expect(server.requests).to.have.length(30);
    // HTTP/1.1 may need a second connection while the first is still being released.
    expect(server.connections()).to.be.at.most(2);
  });

  it('opens a new pool when the certificate authority changes, and keeps it', async () => {
    const withCa = (ca: string): string => kubeconfigFor(server.url).replace('"insecure', `"certificate-authority":"${ca}","insecure`);
    const caFile = `${server.kubeconfig}.ca`;
    await writeFile(caFile, 'one');
    await writeFile(server.kubeconfig, withCa(caFile));
    const other = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock });

    const rounds = async (): Promise<number> => {
      for (let round = 0; round < 10; round += 1) await other.request(GET);
      return server.connections();
    };
    const first = await rounds();
    await writeFile(caFile, 'two');
    clock.advance(10_000);
    const second = await rounds();

    expect(first).to.be.at.most(2);
    expect(second).to.be.within(first + 1, first + 2);
    await other.close();
  });
});

describe('createKubeClient: credentials', () => {
  useFixture();

  const tokens = (): readonly unknown[] => server.requests.map(({ headers }) => headers.authorization);

  async function withTokenFile(): Promise<string> {
    const tokenFile = `${server.kubeconfig}.token`;
    const user = JSON.stringify({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } });
    await writeFile(tokenFile, 'one');
    await writeFile(server.kubeconfig, kubeconfigFor(server.url).replace('{"token":"a-token"}', user));
    return tokenFile;
  }

  it('reads them again after a 401, not for each request', async () => {
    const withCertificate = (file: string): string =>
      kubeconfigFor(server.url).replace('{"token"', `{"client-certificate":"${file}","token"`);
    const file = `${server.kubeconfig}.crt`;
    await writeFile(file, 'one');
    await writeFile(server.kubeconfig, withCertificate(file));
    const other = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock });
    await other.request(GET);
    await rm(file);
    await other.request(GET);

    server.fault = (_request, response) => answerStatus(response, 401, 'Unauthorized');
    expect(await failure(() => other.request(GET))).to.have.property('code', 'SP_KUBE_UNAUTHORIZED');
    expect(await failure(() => other.request(GET))).to.have.property('message', 'GET /api/v1/pods: ENOENT');
    await other.close();
  });

  it('fails when they cannot be read, and reads them for the next request', async () => {
    const tokenFile = await withTokenFile();
    await rm(tokenFile);
    const other = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock });
    expect(await failure(() => other.request(GET))).to.be.instanceOf(TransientError);

    await writeFile(tokenFile, 'two');
    await other.request(GET);
    expect(tokens()).to.deep.equal(['Bearer two']);
    await other.close();
  });
});

describe('createKubeClient: errors', () => {
  useFixture();

  const answers = [
    { status: 400, reason: 'BadRequest', error: RefusedError, code: 'SP_KUBE_INVALID' },
    { status: 401, reason: 'Unauthorized', error: TransientError, code: 'SP_KUBE_UNAUTHORIZED' },
    { status: 403, reason: 'Forbidden', error: RefusedError, code: 'SP_KUBE_FORBIDDEN' },
    { status: 404, reason: 'NotFound', error: RefusedError, code: 'SP_KUBE_NOT_FOUND' },
    { status: 409, reason: 'Conflict', error: TransientError, code: 'SP_KUBE_CONFLICT' },
    { status: 410, reason: 'Expired', error: TransientError, code: 'SP_KUBE_GONE' },
    { status: 422, reason: 'Invalid', error: RefusedError, code: 'SP_KUBE_INVALID' },
    { status: 429, reason: 'TooManyRequests', error: TransientError, code: 'SP_KUBE_API' },
    { status: 500, reason: 'InternalError', error: TransientError, code: 'SP_KUBE_API' },
    { status: 503, reason: 'ServiceUnavailable', error: TransientError, code: 'SP_KUBE_API' },
  ];
  for (const { status, reason, error, code } of answers) {
    it(`throws ${error.name} ${code} for ${status} without the body`, async () => {
      server.fault = (_request, response) => answerStatus(response, status, reason);

      const thrown = await failure(() => client.request(GET));

      expect(thrown).to.be.instanceOf(error);
      expect(thrown).to.include({ code, message: `GET /api/v1/pods: ${status} ${reason}` });
      expect(JSON.stringify(thrown) + String(thrown.stack)).to.not.include('SECRET');
      expect(samples.at(-1)).to.include({ method: 'GET', code: String(status) });
    });
  }

  for (const { header, ms } of [
    { header: '7', ms: 7_000 },
    { header: 'Thu, 01 Jan 2026 00:00:30 GMT', ms: 30_000 },
    { header: 'soon', ms: undefined },
  ]) {
    it(`parses Retry-After "${header}"`, async () => {
      server.fault = (_request, response) => answerStatus(response, 429, 'TooManyRequests', { 'retry-after': header });

      expect(await failure(() => client.request(GET))).to.have.property('retryAfterMs', ms);
    });
  }

  it('reports NOT_FOUND for a write into a terminating namespace', async () => {
    server.fault = (_request, response) => {
      response.writeHead(403, { 'content-type': 'application/json' });
      const details = { causes: [{ reason: 'NamespaceTerminating', message: 'x is being terminated', field: 'metadata.namespace' }] };
      response.end(JSON.stringify({ kind: 'Status', reason: 'Forbidden', details }));
      return true;
    };

    expect(await failure(() => client.request(GET))).to.have.property('code', 'SP_KUBE_NOT_FOUND');
  });

  it('reports only the status when the error body is not a Status object', async () => {
    server.fault = (_request, response) => {
      response.writeHead(502, { 'content-type': 'text/html' });
      response.end('<html>bad gateway</html>');
      return true;
    };

    expect(await failure(() => client.request(GET))).to.include({ code: 'SP_KUBE_API', message: 'GET /api/v1/pods: 502' });
  });

  it('throws SP_KUBE_API when a successful response is not JSON', async () => {
    server.fault = (_request, response) => {
      response.end('{"half":');
      return true;
    };

    expect(await failure(() => client.request(GET))).to.have.property('code', 'SP_KUBE_API');
  });
});

describe('createKubeClient: deadlines and limits', () => {
  useFixture();

  it('throws SP_TIMEOUT at the deadline when no response starts or its body does not end', async () => {
    for (const begins of [false, true]) {
      server.requests.length = 0;
      server.fault = (_request, response) => {
        if (begins) response.write('{"items":');
        return true;
      };

      const failing = failure(() => client.request({ ...GET, timeoutMs: 500 }));
      await until(() => server.requests.length === 1, 'the request');
      clock.advance(500);

      expect(await failing).to.include({ code: 'SP_TIMEOUT', message: 'GET /api/v1/pods: no response within 500 ms' });
    }
    expect(clock.pending()).to.deep.equal([]);
  });

  it('throws SP_TIMEOUT at the deadline when a TLS handshake does not end', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const connected = once(silent, 'connection') as Promise<[Socket]>;
    await writeFile(server.kubeconfig, kubeconfigFor(`https://127.0.0.1:${(silent.address() as AddressInfo).port}`));
    const other = createKubeClient({ kubeconfig: server.kubeconfig, version: 'test', clock });

    const failing = failure(() => other.request({ ...GET, timeoutMs: 500 }));
    const [socket] = await connected;
    clock.advance(500);

    expect(await failing).to.include({ code: 'SP_TIMEOUT' });
    socket.destroy();
    await other.close();
    silent.close();
  });

  it('throws the abort reason when the caller aborts', async () => {
    server.fault = () => true;
    const caller = new AbortController();
    const reason = new Error('stopping');

    const failing = failure(() => client.request({ ...GET, signal: caller.signal }));
    await until(() => server.requests.length === 1, 'the request');
    caller.abort(reason);

    expect(await failing).to.equal(reason);
    expect(await failure(() => client.request({ ...GET, signal: caller.signal }))).to.equal(reason);
  });

  it('reports the transport error code when the server is down', async () => {
    await server.stop();

    const thrown = await failure(() => client.request(GET));

    expect(thrown).to.be.instanceOf(TransientError);
    expect(thrown.message).to.equal('GET /api/v1/pods: ECONNREFUSED');
    expect(samples.at(-1)).to.include({ code: '<error>' });
    server = await startFakeApiServer();
  });

  it('limits requests after a burst, except urgent ones', async () => {
    const limited = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock, qps: 2, burst: 3 });
    let answered = 0;
    const all = Promise.all(Array.from({ length: 5 }, () => limited.request(GET).then(() => (answered += 1))));
    await until(() => answered === 3, 'the burst');

    await limited.request({ ...GET, lane: 'urgent' });
    expect(answered).to.equal(3);

    clock.advance(500);
    await until(() => answered === 4, 'the fourth');
    clock.advance(500);
    await all;
    await limited.close();
  });

  it('keeps a stream open beyond its deadline and closes it when the caller aborts', async () => {
    const caller = new AbortController();
    const { body } = await client.stream({ ...GET, query: { watch: true }, timeoutMs: 1_000, signal: caller.signal });
    clock.advance(5_000);
    server.watches[0]?.send('hello');
    const chunks = body[Symbol.asyncIterator]();

    expect(Buffer.from(((await chunks.next()).value as Uint8Array | undefined) ?? []).toString()).to.equal('hello');

    caller.abort();
    expect(await failure(() => chunks.next())).to.be.instanceOf(Error);
    await until(() => server.watches[0]?.closed === true, 'the server to see the end');
  });
});

describe('createKubeClient: kubeconfig', () => {
  useFixture();

  it('rejects a kubeconfig that is missing, is not YAML or lacks the context', async () => {
    const broken = `${server.kubeconfig}.broken`;
    await writeFile(broken, '{');

    for (const options of [
      { kubeconfig: '/nowhere/kubeconfig' },
      { kubeconfig: broken },
      { kubeconfig: server.kubeconfig, context: 'other' },
    ]) {
      expect(() => createKubeClient({ ...options, version: '0' }))
        .to.throw(RefusedError)
        .with.property('code', 'SP_CONFIG');
    }
  });
});
