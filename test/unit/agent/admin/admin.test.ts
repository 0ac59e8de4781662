/*
 * The admin port over real sockets: health, metrics, and the application's own probes against applications of every kind.
 */
import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { expect } from 'chai';
import { type AdminServer, startAdminServer } from '../../../../src/agent/admin/admin-server.ts';
import { isAppHook, NO_RESPONSE, runAppHook, runAppProbe } from '../../../../src/agent/admin/app-probe.ts';
import { systemClock } from '../../../../src/clock.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';

const listening = async (
  server: { listen(port: number, host: string): unknown; address(): unknown } & NodeJS.EventEmitter,
): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

describe('admin server', () => {
  let ready = false;
  let missing: string | undefined;
  let server: AdminServer;
  const get = async (path: string, method = 'GET'): Promise<{ status: number; text: string; type: string | null }> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
  };
  beforeEach(async () => {
    ready = false;
    missing = undefined;
    server = await startAdminServer({
      host: '127.0.0.1',
      port: 0,
      logger: createLogger({ level: 'silent', component: 'test' }),
      problem: undefined,
      notReady: () => missing,
      isReady: (waitMs) => Promise.resolve(ready || waitMs === 4500),
      metrics: () => {
        if (!ready) throw new Error('secret');
        return 'a 1\n';
      },
      clock: systemClock,
      maxConnections: 10,
      date: () => 'now',
      probe: (name) => {
        if (name === 'app/prestopz') return Promise.resolve({ status: NO_RESPONSE, text: '' });
        return name === 'app/readyz' ? Promise.resolve({ status: 204, text: '' }) : undefined;
      },
    });
  });
  afterEach(() => {
    server.stop();
  });

  it('is alive immediately and ready with the first policy', async () => {
    expect(await get('/healthz')).to.include({ status: 200 });
    expect(await get('/readyz')).to.deep.include({ status: 503, text: '[-]bundle failed: no policy bundle in force yet\nnot ready\n' });
    expect(await get('/readyz?wait=4.5')).to.include({ status: 200 });
    ready = true;
    missing = 'tls.crt: no such file';
    expect(await get('/readyz')).to.include({ status: 503, text: '[+]bundle ok\n[-]tls failed: tls.crt: no such file\nnot ready\n' });
    missing = undefined;
    expect(await get('/readyz?verbose')).to.include({ status: 200, text: '[+]bundle ok\nok\n' });
  });

  it('shows metrics, but not the error when it cannot', async () => {
    expect(await get('/metrics')).to.include({ status: 500, text: 'internal error\n' });
    ready = true;
    expect(await get('/metrics')).to.deep.equal({ status: 200, text: 'a 1\n', type: 'text/plain; version=0.0.4; charset=utf-8' });
  });

  it('runs only the declared probes', async () => {
    expect(await get('/app-health/app/readyz')).to.include({ status: 204 });
    expect(await get('/app-health/app/livez')).to.include({ status: 404 });
    expect(await get('/app-health/')).to.include({ status: 404 });
  });

  it('closes the connection without a response when a hook had none', async () => {
    const error = await get('/app-health/app/prestopz').then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(String(error)).to.match(/fetch failed|other side closed|socket hang up|ECONNRESET/);
  });

  it('serves nothing else and accepts only GET', async () => {
    expect(await get('/debug')).to.include({ status: 404 });
    expect(await get('/healthz', 'POST')).to.include({ status: 405 });
  });
});

describe('application probes', () => {
  let app: Server;
  let port = 0;
  let seen: IncomingMessage[] = [];
  let serve: (request: IncomingMessage, response: ServerResponse) => void = () => {};
  beforeEach(async () => {
    seen = [];
    app = createHttp((request, response) => {
      seen.push(request);
      serve(request, response);
    });
    port = await listening(app);
  });
  afterEach(() => {
    app.close();
    app.closeAllConnections();
  });
  const answer =
    (status: number, body = '') =>
    (_request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(status).end(body);
    };

  it('sends the request that the pod declares', async () => {
    serve = answer(200, 'fine');
    const httpHeaders = [
      { name: 'Host', value: 'h' },
      { name: 'X-A', value: 'b' },
    ];
    expect(await runAppProbe({ httpGet: { port, path: 'health?x=1', httpHeaders } }, '127.0.0.1')).to.deep.equal({
      status: 200,
      text: 'ok\n',
    });
    expect(seen[0]).to.deep.include({ method: 'GET', url: '/health?x=1' });
    expect(seen[0]?.headers).to.include({ host: 'h', 'x-a': 'b' });
  });

  for (const status of [204, 302, 404, 500]) {
    it(`returns the status ${status} of the application`, async () => {
      serve = answer(status, 'details of the application');
      const result = await runAppProbe({ httpGet: { port } }, '127.0.0.1');
      expect(result.status).to.equal(status);
      expect(result.text).not.to.match(/details/);
    });
  }

  it('fails when the application responds late or not at all', async () => {
    serve = () => {};
    expect(await runAppProbe({ httpGet: { port }, timeoutSeconds: 0.05 }, '127.0.0.1')).to.include({ status: 500 });
    expect(await runAppProbe({ httpGet: { port: 1 } }, '127.0.0.1')).to.include({ status: 500 });
    expect(await runAppProbe({}, '127.0.0.1')).to.include({ status: 500 });
  });

  it('performs a hook, whose response has any status', async () => {
    for (const status of [200, 403, 503]) {
      serve = answer(status);
      expect(await runAppHook({ httpGet: { port, path: '/drain' } }, '127.0.0.1')).to.include({ status });
    }
    expect(seen[0]).to.deep.include({ method: 'GET', url: '/drain' });
    expect(seen[0]?.headers['user-agent']).to.match(/^kube-lifecycle\//);
  });

  it('reports no response to a hook that has none', async () => {
    serve = () => {};
    for (const hook of [{ httpGet: { port }, timeoutSeconds: 0.05 }, { httpGet: { port: 1 } }, { httpGet: { port, path: '/\n' } }, {}])
      expect(await runAppHook(hook, '127.0.0.1')).to.include({ status: NO_RESPONSE });
  });

  it('distinguishes hooks from probes by their names', () => {
    expect(['a/poststartz', 'a/prestopz', 'a/livez', 'prestopz/readyz'].map(isAppHook)).to.deep.equal([true, true, false, false]);
  });

  it('reads no more than the beginning of a long response', async () => {
    serve = answer(200, 'x'.repeat(1_000_000));
    expect(await runAppProbe({ httpGet: { port } }, '127.0.0.1')).to.include({ status: 200 });
  });

  it('connects for a TCP probe', async () => {
    const server = createTcp((socket) => socket.end());
    const open = await listening(server);
    expect(await runAppProbe({ tcpSocket: { port: open } }, '127.0.0.1')).to.include({ status: 200 });
    server.close();
    await once(server, 'close');
    expect(await runAppProbe({ tcpSocket: { port: open } }, '127.0.0.1')).to.include({ status: 500 });
  });

  for (const [name, reply, status] of [
    ['serving', [0, 0, 0, 0, 2, 8, 1], 200],
    ['not serving', [0, 0, 0, 0, 2, 8, 2], 503],
    ['an empty answer', [], 503],
  ] as const) {
    it(`calls the health service for a gRPC probe: ${name}`, async () => {
      const requests: string[] = [];
      const server = createHttp2();
      server.on('stream', (stream, headers) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.on('data', (chunk: Buffer) => requests.push(`${headers[':path']} ${chunk.toString('hex')}`));
        stream.on('end', () => stream.end(Buffer.from(reply)));
      });
      const grpcPort = await listening(server);
      const result = await runAppProbe({ grpc: { port: grpcPort, service: 'ab' } }, '127.0.0.1');
      server.close();
      expect(result.status).to.equal(status);
      expect(requests).to.deep.equal(['/grpc.health.v1.Health/Check 00000000040a026162']);
    });
  }

  it('fails a gRPC probe when the application does not listen', async () => {
    expect(await runAppProbe({ grpc: { port: 1 } }, '127.0.0.1')).to.include({ status: 500 });
  });
});
