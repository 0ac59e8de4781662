/*
 * The proxy over raw loopback sockets with a stub judge: what the upstream sees, what the client gets, byte for byte.
 */

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { httpChain } from '../../filters/trials.ts';
import { checkOf, providerOf } from '../ext-authz/checks.ts';
import { headOf, logOf, OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const DATE = 'date: Thu, 01 Jan 1970 00:00:00 GMT\r\n';
const SERVER = 'server: istio-envoy\r\n';
const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const has = (part: string) => (text: string) => text.includes(part);

describe('proxy', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('forwards a request with the judged head and answers with the response of the upstream', async () => {
    const { port } = await start();
    const text = await talk(port, 'GET /ok?q=1 HTTP/1.1\r\nHost: a:80\r\nX-A:  b c \r\nConnection: keep-alive\r\n\r\n', has('ok'));

    expect(at.seen).to.deep.equal(['GET /ok?q=1 HTTP/1.1\r\nhost: a:80\r\nx-a: b c\r\nx-request-id: generated-id\r\n\r\n']);
    expect(text).to.equal(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${DATE}${SERVER}\r\nok`);
    expect(at.records).to.have.length(1);
    expect(at.records[0]).to.include({
      method: 'GET',
      status: 200,
      requestId: 'generated-id',
      destinationPort: 8080,
      sourceIp: '127.0.0.1',
      details: '',
    });
  });

  it('keeps the request id of the client', async () => {
    const { port } = await start();
    await talk(port, 'GET /ok HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n', has('ok'));
    expect(at.seen[0]).to.equal('GET /ok HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n\r\n');
  });

  it('sends nothing upstream for a denied request and keeps the connection', async () => {
    const { port } = await start();
    const text = await talk(port, `GET /no HTTP/1.1\r\nHost: a\r\n\r\n${GET}`, has('ok'));
    const denied = `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}\r\nRBAC: access denied`;

    expect(text.startsWith(`${denied}HTTP/1.1 200 OK`)).to.equal(true);
    expect(at.seen).to.have.length(1);
    expect(at.seen[0]).to.match(/^GET \/ok /);
    expect(at.records.map((record) => [record.status, record.details])).to.deep.equal([
      [403, 'rbac_access_denied_matched_policy[none]'],
      [200, ''],
    ]);
  });

  it('closes after denying a request with a body, whose bytes never reach the upstream', async () => {
    const { port } = await start();
    const text = await talk(port, 'POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    expect(text).to.equal(
      `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}connection: close\r\n\r\nRBAC: access denied`,
    );
    expect(at.seen).to.deep.equal([]);
  });

  it('leaves the body out when it denies HEAD', async () => {
    const { port } = await start();
    const text = await talk(port, `HEAD /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(text).to.equal(
      `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}connection: close\r\n\r\n`,
    );
  });

  it('answers 503 to everything while no policy is in force', async () => {
    const { port } = await start({ notReady: true });
    const text = await talk(port, GET, has('force yet'));
    expect(text).to.match(/^HTTP\/1.1 503 Service Unavailable\r\n/);
    expect(at.seen).to.deep.equal([]);
  });

  it('answers 503 when nobody listens upstream', async () => {
    const { port } = await start({ noUpstream: true });
    const text = await talk(port, GET, has('failure'));
    expect(text).to.match(/^HTTP\/1.1 503 /);
    expect(text).to.match(/upstream connect error or disconnect\/reset before headers. reset reason: connection failure$/);
    expect(at.records[0]?.details).to.equal('upstream_reset_before_response_started{connection_failure}');
  });

  const refused: readonly (readonly [string, string, number, string])[] = [
    ['garbage', '\x16\x03\x01garbage\r\n\r\n', 400, 'Bad Request'],
    ['garbage without an end', '\x16\x03\x01garbage', 400, 'Bad Request'],
    ['bare line feeds', 'GET /ok HTTP/1.1\nHost: a\n\n', 400, 'Bad Request'],
    ['HTTP/1.0', 'GET /ok HTTP/1.0\r\nHost: a\r\n\r\n', 426, 'Upgrade Required'],
    ['HTTP/0.9', 'GET /ok\r\n\r\n', 426, 'Upgrade Required'],
    [
      'length and chunks',
      'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'Bad Request',
    ],
    ['another coding', 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501, 'Not Implemented'],
    ['an unknown method', 'method / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'Bad Request'],
    ['a huge head', `GET /ok HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(61 * 1024)}\r\n\r\n`, 431, 'Request Header Fields Too Large'],
    ['101 fields', `GET /ok HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(100)}\r\n`, 431, 'Request Header Fields Too Large'],
  ];
  for (const [name, bytes, status, body] of refused) {
    it(`refuses ${name} with ${status} and closes`, async () => {
      const { port } = await start();
      const text = await talk(port, bytes);
      expect(text).to.match(new RegExp(`^HTTP/1.1 ${status} ${body}\r\ncontent-length: ${body.length}\r\n`));
      expect(text).to.match(new RegExp(`connection: close\r\n\r\n${body}$`));
      expect(at.seen).to.deep.equal([]);
    });
  }

  it('takes a head that arrives byte by byte, after empty lines', async () => {
    const { port } = await start();
    const client = new RawClient(port);
    await once(client.socket, 'connect');
    client.socket.setNoDelay(true);
    for (const character of `\r\n${GET}`) {
      client.send(character);
      await sleep(0);
    }
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200 OK/);
    client.socket.destroy();
    expect(at.seen).to.have.length(1);
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

  it('passes a body of known length in pieces', async () => {
    const { port } = await start({
      upstream: (socket) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.endsWith('abcdef')) socket.write(OK);
        });
      },
    });
    const client = new RawClient(port).send('PUT /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    await sleep(5);
    client.send('def');
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    client.socket.destroy();
    expect(at.seen[0]).to.match(/content-length: 6\r\n\r\nabcdef$/);
  });

  it('passes chunks on, leaves trailers out, and takes the next request', async () => {
    const { port } = await start({
      upstream: (socket) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.endsWith('0;x=y\r\n\r\n') || /GET [^]*\r\n\r\n$/.test(text)) socket.write(OK);
        });
      },
    });
    const post = 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0;x=y\r\nX-Admin: yes\r\n\r\n';
    const text = await talk(port, post + GET, (all) => all.split('ok').length > 2);
    expect(text.match(/HTTP\/1.1 200/g)).to.have.length(2);
    expect(at.seen[0]).to.match(/transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0;x=y\r\n\r\nGET /);
    expect(at.seen[0]).not.to.match(/x-admin/i);
  });

  it('refuses broken chunks and drops the upstream connection', async () => {
    const { port } = await start();
    const text = await talk(port, 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n');
    // The stub upstream answers at once, so either the refusal or its answer comes first; never a second answer.
    expect(text.match(/HTTP\/1.1/g)).to.have.length.at.most(1);
  });

  it('sends a body that ends with the connection in chunks', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello');
          setTimeout(() => socket.end(' world'), 5);
        });
      },
    });
    const text = await talk(port, GET, has('0\r\n\r\n'));
    expect(text).to.equal(
      `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n${DATE}${SERVER}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
    );
  });

  it('passes chunked responses on without hop-by-hop fields and trailers', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nDate: today\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: u\r\n\r\n',
          ),
        );
      },
    });
    const text = await talk(port, GET, has('0\r\n\r\n'));
    expect(text).to.equal(`HTTP/1.1 200 Fine\r\ndate: today\r\n${SERVER}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`);
  });

  for (const [name, method, response] of [
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n'],
  ] as const) {
    it(`knows that the answer is without a body: ${name}`, async () => {
      const { port } = await start({ upstream: (socket) => socket.on('data', () => socket.write(response)) });
      const request = `${method} /ok HTTP/1.1\r\nHost: a\r\n\r\n`;
      const text = await talk(port, request + request, (all) => all.split('\r\n\r\n').length === 3);
      expect(text.match(/HTTP\/1.1/g)).to.have.length(2);
      expect(at.seen).to.have.length(1);
    });
  }

  it('asks the client to go on only after the verdict, and once, though the application is told of the expectation', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.on('data', (chunk) => socket.write(chunk.toString().endsWith('abc') ? OK : 'HTTP/1.1 100 Continue\r\n\r\n')),
    });
    const head = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`;
    const client = new RawClient(port).send(head('/ok'));
    await client.until(has('100 Continue\r\n\r\n'));
    client.send('abc');
    const text = await client.until(has('ok'));
    expect(text).to.match(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
    expect(at.seen[0]).to.contain('\r\nexpect: 100-continue\r\n');
    client.send(head('/no'));
    const rest = (await client.untilClosed()).slice(text.length);
    expect(rest).to.match(/^HTTP\/1.1 403/);
  });

  it('passes interim responses on', async () => {
    const { port } = await start({
      upstream: (socket) => socket.once('data', () => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`)),
    });
    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });

  it('tunnels a websocket after 101 and holds early bytes back until then', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () => {
          setTimeout(
            () =>
              socket.write(
                'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhi',
              ),
            10,
          );
          socket.on('data', (chunk: Buffer) => socket.write(`echo:${chunk.toString()}`));
        });
      },
    });
    const client = new RawClient(port).send('GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly');
    await client.until(has('echo:early'));
    client.send('more');
    const text = await client.until(has('echo:more'));
    expect(text).to.equal(
      'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhiecho:earlyecho:more',
    );
    expect(at.seen[0]).to.match(/connection: upgrade\r\nupgrade: websocket\r\n\r\nearlymore$/);
    client.socket.end();
    await client.untilClosed();
    await sleep(5);
    expect(at.records[0]).to.include({ status: 101, details: '' });
  });

  it('does not take 200 for a switched protocol', async () => {
    const { port } = await start();
    const text = await talk(port, `GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${GET}`);
    expect(text).to.match(/^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n\r\nok$/);
    expect(at.seen.join('')).not.to.match(/GET[^]*GET/);
  });

  it('answers 502 to a 101 that nobody asked for and to garbage', async () => {
    const { port } = await start({
      upstream: (socket, nth) => socket.once('data', () => socket.write(nth === 0 ? 'HTTP/1.1 101 No\r\n\r\n' : 'SSH-2.0-x\r\n\r\n')),
    });
    expect(await talk(port, GET, has('protocol error'))).to.match(/^HTTP\/1.1 502 Bad Gateway/);
    expect(await talk(port, GET, has('protocol error'))).to.match(/^HTTP\/1.1 502 Bad Gateway/);
  });

  it('does not give bytes behind a response to the next request', async () => {
    const { port } = await start({
      upstream: (socket, nth) =>
        socket.on('data', () => socket.write(nth === 0 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil` : OK)),
    });
    const text = await talk(port, GET + GET, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text).not.to.match(/evil/);
    expect(at.seen).to.have.length(2);
  });

  it('sends an idempotent request again when the kept connection is dead, others not', async () => {
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

  it('answers 503 when the upstream goes away before the response', async () => {
    const { port } = await start({ upstream: (socket) => socket.on('data', () => socket.destroy()) });
    const text = await talk(port, 'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', has('termination'));
    expect(text).to.match(/^HTTP\/1.1 503 /);
    expect(at.seen).to.have.length(1);
    expect(at.seen[0]).to.match(/content-length: 0\r\n\r\n$/);
  });

  it('cuts the connection when the response breaks off', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () => socket.destroy())),
    });
    const text = await talk(port, GET);
    expect(text).to.match(/\r\n\r\n(?:half)?$/);
    expect(at.records[0]?.details).to.equal('upstream_reset_after_response_started');
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

  it('answers a client that has closed its sending side', async () => {
    const { port } = await start();
    const client = new RawClient(port);
    client.socket.end(GET);
    expect(await client.untilClosed()).to.match(/^HTTP\/1.1 200 OK[^]*ok$/);
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

  it('holds a large upload back when the upstream does not read, and delivers all when it does', async () => {
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

  it('ignores framing fields that the judge hands on', async () => {
    const { port } = await start({
      filterChain: httpChain((request) => ({
        kind: 'forward',
        head: { ...headOf(request), headers: ['content-length', '5', 'transfer-encoding', 'chunked', 'x', 'y'] },
        log: logOf('allow'),
      })),
    });
    await talk(port, GET, has('ok'));
    expect(at.seen[0]).to.equal('GET /ok HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n');
  });

  const checking = httpChain((request) => ({
    ...checkOf(providerOf(1), headOf(request), request.connection),
    log: logOf('deny'),
    resume: (answer) =>
      answer.kind === 'allow'
        ? { kind: 'forward', head: headOf(request), log: logOf('allow') }
        : { ...answer, log: logOf('deny', '/', 'ext_authz_error') },
  }));

  it('answers 403 when an external authorizer must be asked and none can be', async () => {
    const { port } = await start({ filterChain: checking });
    expect(await talk(port, GET, has('\r\n\r\n'))).to.match(/^HTTP\/1.1 403 Forbidden\r\ncontent-length: 0\r\n/);
    expect(at.seen).to.deep.equal([]);
  });

  it('waits for the external authorizer and reads no further until then', async () => {
    const { port } = await start({
      filterChain: checking,
      authorizer: () => sleep(10, { kind: 'allow', setHeaders: [], removeHeaders: [] }),
    });
    const text = await talk(port, GET + GET, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text.match(/HTTP\/1.1 200/g)).to.have.length(2);
  });

  it('times an unfinished head out with 408', async () => {
    const { port } = await start({ limits: { headTimeoutMs: 5 } });
    const client = new RawClient(port).send('GET /ok HTTP/1.1\r\nHost:');
    for (let tries = 0; !client.closed && tries < 200; tries += 1) {
      await sleep(5);
      at.listener.sweep(performance.now());
    }
    expect(client.text).to.match(/^HTTP\/1.1 408 Request Timeout/);
  });

  it('resets connections beyond the limit', async () => {
    const { port } = await start({ limits: { maxConnections: 1 } });
    const first = new RawClient(port).send(GET);
    await first.until(has('ok'));
    expect(await talk(port, GET)).to.equal('');
    first.socket.destroy();
  });

  it('lets the exchange at hand end when it stops, then closes', async () => {
    const { port } = await start({ upstream: (socket) => socket.on('data', () => setTimeout(() => socket.write(OK), 20)) });
    const client = new RawClient(port).send(GET);
    while (at.seen.length === 0) await sleep(1);
    const stopped = at.listener.stop(2000);
    expect(await client.untilClosed()).to.match(/connection: close\r\n\r\nok$/);
    await stopped;
  });
});
