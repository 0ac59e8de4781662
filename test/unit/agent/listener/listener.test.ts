/*
 * A listener over loopback sockets: lifetime of connections on both sides, backpressure, timeouts, limits.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import type { CheckResponse } from '../../../../src/filters/check-response.ts';
import type { Verdict } from '../../../../src/filters/verdict.ts';
import { deny, filterChainOf, httpChain } from '../../filters/chains.ts';
import { checkOf, providerOf } from '../ext-authz/checks.ts';
import { headOf, logOf, OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const has = (part: string) => (text: string) => text.includes(part);

describe('connections of a listener', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('serves pipelined requests in order over one upstream connection', async () => {
    const { port } = await start({
      upstream: (socket) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          const path = /^GET (\S+)/.exec(text)?.[1];
          if (!text.endsWith('\r\n\r\n') || path === undefined) return;
          text = '';
          setTimeout(() => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`), 2);
        });
      },
    });
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const text = await talk(port, ['/1', '/2', '/no3', '/4'].map(request).join(''), has('\r\n/4'));
    expect(text.match(/\r\n\r\n(\/[124]|RBAC)/g)).to.deep.equal(['\r\n\r\n/1', '\r\n\r\n/2', '\r\n\r\nRBAC', '\r\n\r\n/4']);
    expect(at.seen).to.have.length(1);
  });

  it('drops a client that ends its side within a request, as Envoy does', async () => {
    const { port } = await start({ upstream: () => {} });
    const client = new RawClient(port);
    client.socket.end(GET);
    expect(await client.untilClosed()).to.equal('');
  });

  it('answers 408 when a head is not completed in time', async () => {
    const { port } = await start({ limits: { headTimeoutMs: 5 } });
    const client = new RawClient(port).send('GET /ok HTTP/1.1\r\nHost:');
    while (!client.closed) {
      await sleep(5);
      at.listener.sweep(performance.now());
    }
    expect(client.text).to.match(/^HTTP\/1.1 408 Request Timeout/);
  });

  it('records when the head of each request was read', async () => {
    const { port, records } = await start();
    const client = new RawClient(port);
    for (let nth = 1; nth <= 2; nth += 1) {
      const before = performance.now();
      await client.send(GET).until((text) => text.split('\r\n\r\nok').length > nth);
      expect(records[nth - 1]?.startMs).to.be.within(before, performance.now());
    }
    client.socket.destroy();
  });

  it('resets connections beyond the limit', async () => {
    const { port } = await start({ limits: { maxConnections: 1 } });
    const first = new RawClient(port).send(GET);
    await first.until(has('ok'));
    expect(await talk(port, GET)).to.equal('');
    first.socket.destroy();
  });

  it('forwards nothing of a client that was gone before its connection was accepted, because its address is not known', async () => {
    const rule = { from: [{ source: { ipBlocks: ['127.0.0.0/8'] } }], to: [{ operation: { paths: ['/ok'] } }] };
    const { port } = await start({ filterChain: filterChainOf([deny('d', rule)]) });
    // Leaves a connection to the application on which a request would be sent immediately.
    await talk(port, GET.replace('/ok', '/other'), has('ok'));
    const reset = `const socket = require('node:net').connect(${port}, '127.0.0.1', () =>
      socket.write(${JSON.stringify(GET)}, () => socket.resetAndDestroy()));`;
    // Nothing is accepted while the client runs.
    expect(spawnSync(process.execPath, ['-e', reset]).status).to.equal(0);
    expect(await talk(port, GET, has('denied'))).to.match(/^HTTP\/1.1 403/);
    expect(at.seen.join('').match(/GET \S+/g)).to.deep.equal(['GET /other']);
    expect(at.records.map(({ status, sourceIp }) => [status, sourceIp])).to.deep.equal([
      [200, '127.0.0.1'],
      [403, '127.0.0.1'],
    ]);
  });

  it('finishes the exchange at hand when it stops, and ends as soon as its clients have closed', async () => {
    const { port } = await start({ upstream: (socket) => socket.on('data', () => setTimeout(() => socket.write(OK), 20)) });
    const client = new RawClient(port).send(GET);
    while (at.seen.length === 0) await sleep(1);
    const stopped = at.listener.stop(60_000);
    expect(await client.until(has('ok'))).to.match(/connection: close\r\n\r\nok$/);
    client.socket.end();
    await stopped;
  });

  it('serves idle and new connections while it stops, and requests that a client has sent before it read the response', async () => {
    const { port } = await start();
    const idle = new RawClient(port).send(GET);
    await idle.until(has('ok'));
    const stopped = at.listener.stop(60_000);
    expect(await talk(port, GET, has('ok'))).to.match(/connection: close\r\n\r\nok$/);
    const first = idle.text.length;
    await idle.send(GET).until((text) => text.length > first && text.endsWith('ok'));
    await idle.send(GET).until((text) => text.split('connection: close').length === 3);
    at.listener.sweep(performance.now() + 5000);
    await idle.untilClosed();
    await stopped;
    expect(at.closed).to.include('shutdown');
  });

  it('closes idle connections and says goodbye to WebSockets at the end', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.once('data', () =>
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi'),
        ),
    });
    const idle = new RawClient(port);
    const socket = new RawClient(port).send('GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await socket.until(has('hi'));
    const stopped = at.listener.stop(30);
    expect(await idle.untilClosed()).to.equal('');
    await socket.until((text) => text.endsWith('hi\x88\x02\x03\xe9'));
    while (!/\x88\x82[^]{6}$/.test(at.seen[0] ?? '')) await sleep(1);
    socket.socket.end('\x88\x82\0\0\0\0\x03\xe9');
    await stopped;
    expect(at.connections()).to.equal(0);
  });

  const checking = httpChain((request) => ({
    ...checkOf(providerOf(1), headOf(request), request.connection),
    log: logOf('deny'),
    resume: (answer: CheckResponse): Verdict =>
      answer.kind === 'allow'
        ? { kind: 'forward', head: headOf(request), log: logOf('allow') }
        : { ...answer, log: logOf('deny', '/', 'ext_authz_error') },
  }));

  it('reads no further request during an ext_authz check', async () => {
    const { port } = await start({
      filterChain: checking,
      extAuthz: () => sleep(10, { kind: 'allow', setHeaders: [], removeHeaders: [] }),
    });
    const text = await talk(port, GET + GET, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text.match(/HTTP\/1.1 200/g)).to.have.length(2);
  });
});

describe('connections to the upstream', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('answers 503 when the upstream does not listen', async () => {
    const { port } = await start({ noUpstream: true });
    const text = await talk(port, GET, has('failure'));
    expect(text).to.match(/^HTTP\/1.1 503 /);
    expect(text).to.match(/upstream connect error or disconnect\/reset before headers. reset reason: connection failure$/);
    expect(at.records[0]?.details).to.equal('upstream_reset_before_response_started{connection_failure}');
  });

  it('sends an idempotent request again when the kept connection is dead', async () => {
    const { port } = await start({
      upstream: (socket, nth) => {
        let count = 0;
        socket.on('data', () => {
          count += 1;
          if (nth < 1 && count > 1) socket.destroy();
          else socket.write(OK);
        });
      },
    });
    await talk(port, GET, has('ok'));
    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 200/);
    expect(at.seen).to.have.length(2);
  });

  it('drops the connection when the response breaks off', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () => socket.destroy())),
    });
    const text = await talk(port, GET);
    expect(text).to.match(/\r\n\r\n(?:half)?$/);
    expect(at.records[0]?.details).to.equal('upstream_reset_after_response_started{connection_termination}');
  });

  it('drops the upstream connection when the client leaves', async () => {
    let closed: (() => void) | undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const { port } = await start({
      upstream: (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx');
        socket.on('close', () => closed?.());
      },
    });
    const client = new RawClient(port).send(GET);
    await client.until(has('x'));
    client.socket.resetAndDestroy();
    await gone;
    expect(at.records[0]?.details).to.equal('downstream_remote_disconnect');
    expect(at.connections()).to.equal(0);
  });
});

describe('memory of requests in progress', () => {
  let at: Stage;
  let clients: RawClient[] = [];
  afterEach(async () => {
    for (const { socket } of clients) socket.destroy();
    clients = [];
    await at.stop();
  });

  it('is not that of their heads', async () => {
    at = await stage({ upstream: () => {} });
    const fields = Array.from({ length: 14 }, (_, nth) => `X-${nth}: ${String(nth).padStart(4000, 'v')}\r\n`).join('');
    const request = `POST /ok/${'p'.repeat(100)} HTTP/1.1\r\nHost: application.example\r\nX-Request-Id: ${'i'.repeat(36)}\r\n${fields}`;
    const received = (): number => at.seen.reduce((sum, text) => sum + text.length, 0);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    // The body never comes.
    for (let count = 0; count < 200; count += 1) clients.push(new RawClient(at.port).send(`${request}Content-Length: 1\r\n\r\n`));
    while (received() < clients.length * request.length) await sleep(10);
    collectGarbage();
    // What the application received is in memory of the test.
    expect(process.memoryUsage().heapUsed - before - received()).to.be.below(5 * 1024 * 1024);
  });
});

describe('backpressure over sockets', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('keeps memory bounded when the client does not read, and delivers all when it does', async () => {
    const size = 32 * 1024 * 1024;
    let sent = 0;
    const { port } = await start({
      upstream: (socket) => {
        const piece = Buffer.alloc(64 * 1024, 'x');
        const pump = (): void => {
          while (sent < size) {
            sent += piece.length;
            if (!socket.write(piece)) {
              socket.once('drain', pump);
              return;
            }
          }
        };
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          pump();
        });
      },
    });
    const client = new RawClient(port);
    client.socket.pause();
    client.send(GET);
    let before = -1;
    for (; before !== sent; await sleep(30)) before = sent;
    expect(sent).to.be.lessThan(size);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    client.socket.resume();
    while (received < size) await sleep(5);
    client.socket.destroy();
  });

  it('pauses a large upload when the upstream does not read, and delivers all when it does', async () => {
    const size = 16 * 1024 * 1024;
    let received = 0;
    const { port } = await start({
      upstream: (socket) => {
        socket.removeAllListeners('data');
        socket.pause();
        setTimeout(() => {
          socket.on('data', (chunk: Buffer) => {
            received += chunk.length;
            if (received >= size) socket.write(OK);
          });
          socket.resume();
        }, 50);
      },
    });
    const client = new RawClient(port).send(`POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    client.socket.write(Buffer.alloc(size, 'y'));
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    client.socket.destroy();
    expect(received).to.be.greaterThan(size);
  });
});
