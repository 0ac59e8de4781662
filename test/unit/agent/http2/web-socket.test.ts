/*
 * WebSockets over HTTP/2 (RFC 8441) in front of applications that speak HTTP/1.1: `ws`, and raw sockets.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type WebSocket, WebSocketServer } from 'ws';
import { CHECK_ALLOWED } from '../../../../src/filters/check-response.ts';
import type { Verdict } from '../../../../src/filters/verdict.ts';
import { webSocketAccept } from '../../../../src/http/web-socket-key.ts';
import { data, type Field, frame, headers, OPEN, RawHttp2Client, request, TYPE, uint32 } from '../../../support/http2-frames.ts';
import { clientCloseFrame, clientFrame, OPCODE, serverFrame } from '../../../support/web-socket-frames.ts';
import { httpChain } from '../../filters/chains.ts';
import { checkOf, providerOf } from '../ext-authz/checks.ts';
import { headOf, logOf, type Stage, type StageOptions, stage, until } from '../loopback.ts';
import { connectHttp2, Http2WebSocket } from './web-socket-client.ts';

const CANCEL = 8;
const CONNECT: readonly Field[] = [...request({ method: 'CONNECT', path: '/' }), [':protocol', 'websocket']];
const SWITCHED = (text: string): string => {
  const key = /sec-websocket-key: (\S+)/i.exec(text)?.[1] ?? '';
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${webSocketAccept(key)}\r\n\r\n`;
};

let at: Stage;
let session: ClientHttp2Session;
const ends: (() => void)[] = [];

async function start(options: StageOptions): Promise<void> {
  at = await stage({ appProtocol: 'http1', ...options });
  session = await connectHttp2(at.port);
}

/** A raw application: `serve` gets each connection with the head that it has read. */
function raw(serve: (socket: Socket, head: string) => void): (socket: Socket) => void {
  return (socket) => {
    let head = '';
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      serve(socket, head);
    };
    socket.on('data', read);
  };
}

async function webSocketApplication(onSocket: (socket: WebSocket) => void): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, maxPayload: 32 * 1024 * 1024 });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  ends.push(() => server.close());
  return server.address().port;
}

const echo = (socket: WebSocket): void => {
  socket.on('message', (message: Buffer, isBinary: boolean) => socket.send(isBinary ? message : message.toString('utf8')));
};

afterEach(async () => {
  session?.destroy();
  await at?.stop();
  for (const end of ends.splice(0)) end();
});

describe('a WebSocket over HTTP/2 to an application that speaks HTTP/1.1', () => {
  it('is announced, and echoes text and pings', async () => {
    await start({ application: await webSocketApplication(echo) });
    expect(session.remoteSettings.enableConnectProtocol).to.equal(true);
    const socket = await new Http2WebSocket(session).accepted();
    expect(socket.status).to.equal(200);
    expect(socket.headers).to.not.have.any.keys('upgrade', 'connection', 'sec-websocket-accept');
    socket.send(OPCODE.text, 'grüße').send(OPCODE.ping, 'p');
    await socket.until(() => socket.frames.length === 2);
    expect(socket.frames.map(({ opcode, payload }) => [opcode, payload.toString('utf8')])).to.deep.equal([
      [OPCODE.text, 'grüße'],
      [OPCODE.pong, 'p'],
    ]);
  });

  it('sends the request that Envoy makes of it, with a key', async () => {
    await start({ upstream: raw((socket, head) => socket.write(SWITCHED(head))) });
    const socket = await new Http2WebSocket(session, '/chat?room=1', { 'sec-websocket-protocol': 'chat', cookie: 'a=1' }).accepted();
    expect(socket.status).to.equal(200);
    const [line, ...fields] = (at.seen[0] ?? '').split('\r\n');
    expect(line).to.equal('GET /chat?room=1 HTTP/1.1');
    expect(fields).to.include.members(['host: a.example', 'sec-websocket-protocol: chat', 'connection: upgrade', 'upgrade: websocket']);
    expect(fields.filter((field) => /^sec-websocket-key: [A-Za-z0-9+/]{22}==$/.test(field))).to.have.length(1);
    expect(fields.join('\n')).to.not.match(/content-length|transfer-encoding|:protocol/);
  });

  it('leaves the answer to a key of the client to the client', async () => {
    await start({ upstream: raw((socket, head) => socket.write(SWITCHED(head))) });
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    const socket = await new Http2WebSocket(session, '/', { 'sec-websocket-key': key }).accepted();
    expect(socket.headers['sec-websocket-accept']).to.equal('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(at.seen[0]?.match(/sec-websocket-key/g)).to.have.length(1);
  });

  it('is agreed with the subprotocol that the application chooses', async () => {
    await start({ application: await webSocketApplication(echo) });
    const socket = await new Http2WebSocket(session, '/', { 'sec-websocket-protocol': 'chat, other' }).accepted();
    expect(socket.headers['sec-websocket-protocol']).to.equal('chat');
  });

  it('passes messages of 2 MiB in both directions under flow control', async () => {
    await start({ application: await webSocketApplication(echo) });
    const socket = await new Http2WebSocket(session).accepted();
    const message = randomBytes(2 * 1024 * 1024);
    socket.send(OPCODE.binary, message);
    await socket.until(() => socket.received === message.length + 10);
    expect(socket.bytes.subarray(10).equals(message)).to.equal(true);
  });

  it('does not read a client whose application does not read', async () => {
    let application: Socket | undefined;
    await start({
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        socket.pause();
        application = socket;
      }),
    });
    const socket = await new Http2WebSocket(session).accepted();
    const chunk = clientFrame(OPCODE.binary, Buffer.alloc(64 * 1024));
    let sent = 0;
    let isFull = false;
    const push = (): void => {
      if (sent >= 24 * 1024 * 1024) return;
      socket.stream.write(chunk, () => {
        sent += chunk.length;
        push();
      });
    };
    push();
    for (let before = -1; !isFull; ) {
      before = sent;
      await sleep(200);
      isFull = before === sent;
    }
    // Windows, socket buffers of the kernel, and no more.
    expect(sent).to.be.lessThan(16 * 1024 * 1024);
    application?.resume();
    await until(() => sent >= 24 * 1024 * 1024);
  });

  it('does not read an application whose client opens no window', async () => {
    let sent = 0;
    await start({
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        const push = (): void => {
          if (sent >= 24 * 1024 * 1024) return;
          socket.write(Buffer.alloc(64 * 1024), () => {
            sent += 64 * 1024;
            push();
          });
        };
        push();
      }),
    });
    const client = new RawHttp2Client(at.port);
    client.send(headers(1, CONNECT, OPEN));
    let before = -1;
    while (before !== sent || sent === 0) {
      before = sent;
      await sleep(200);
    }
    expect(sent).to.be.lessThan(32 * 1024 * 1024);
    expect(client.of(1, TYPE.data).reduce((sum, { payload }) => sum + payload.length, 0)).to.equal(65_535);
    client.close();
  });

  it('passes the close handshake of the client on', async () => {
    const closes: number[] = [];
    await start({
      application: await webSocketApplication((socket) => socket.on('close', (code: number) => closes.push(code))),
    });
    const socket = await new Http2WebSocket(session).accepted();
    socket.stream.end(clientCloseFrame(1000));
    await socket.untilClosed();
    expect(socket.frames.map(({ opcode, payload }) => [opcode, payload.readUInt16BE(0)])).to.deep.equal([[OPCODE.close, 1000]]);
    expect([socket.ended, socket.code]).to.deep.equal([true, 0]);
    await until(() => closes.length === 1 && at.records.length === 1);
    expect(closes).to.deep.equal([1000]);
    const [record] = at.records;
    expect([record?.protocol, record?.method, record?.status, record?.details]).to.deep.equal(['2', 'GET', 101, '']);
  });

  it('passes the close handshake of the application on', async () => {
    await start({ application: await webSocketApplication((socket) => socket.close(4001, 'bye')) });
    const socket = await new Http2WebSocket(session).accepted();
    await socket.until(() => socket.frames.length === 1);
    expect(socket.frames[0]?.payload.readUInt16BE(0)).to.equal(4001);
    socket.stream.end(clientCloseFrame(4001));
    await socket.untilClosed();
    expect([socket.ended, socket.code]).to.deep.equal([true, 0]);
  });

  it('makes an end of the client an end of the connection to the application, and the other way round', async () => {
    const events: string[] = [];
    await start({
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        socket.on('end', () => events.push('end'));
        socket.on('error', ({ message }) => events.push(message));
        socket.on('close', () => events.push('close'));
      }),
    });
    const socket = await new Http2WebSocket(session).accepted();
    socket.stream.end('bytes');
    await socket.untilClosed();
    await until(() => events.includes('close'));
    expect(events).to.deep.equal(['end', 'close']);
    expect(at.seen[0]?.endsWith('bytes')).to.equal(true);
    expect([socket.ended, socket.code]).to.deep.equal([true, 0]);
  });

  it('ends a moment after the application has ended its side, although the client has not', async () => {
    await start({ upstream: raw((socket, head) => socket.end(SWITCHED(head))) });
    const socket = new Http2WebSocket(session);
    await socket.until(() => socket.ended);
    expect(socket.closed).to.equal(false);
    await until(() => {
      at.listener.sweep(performance.now());
      return socket.closed;
    });
    expect(socket.code).to.equal(0);
    await until(() => at.records.length === 1);
  });

  it('makes a reset of the client a reset of the connection to the application', async () => {
    const events: string[] = [];
    await start({
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        socket.on('error', (error: NodeJS.ErrnoException) => events.push(error.code ?? ''));
        socket.on('end', () => events.push('end'));
      }),
    });
    // Node's own client ends its side first.
    const client = new RawHttp2Client(at.port).send(headers(1, CONNECT, OPEN));
    await client.until(() => client.of(1, TYPE.headers).length === 1);
    client.send(frame(TYPE.rst, 0, 1, uint32(CANCEL)));
    await until(() => events.length > 0 && at.records.length === 1);
    expect(events).to.deep.equal(['ECONNRESET']);
    client.close();
    expect(at.records.map(({ status }) => status)).to.deep.equal([101]);
  });

  it('makes a reset of the application a reset of the stream with CANCEL', async () => {
    await start({
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        socket.once('data', () => socket.resetAndDestroy());
      }),
    });
    const socket = await new Http2WebSocket(session).accepted();
    socket.send(OPCODE.text, 'x');
    await socket.untilClosed();
    expect(socket.code).to.equal(CANCEL);
  });

  it('keeps what a client sends before the answer, and delivers it once behind it', async () => {
    let answer: (() => void) | undefined;
    await start({ upstream: raw((socket, head) => (answer = () => socket.write(SWITCHED(head)))) });
    const socket = new Http2WebSocket(session).send(OPCODE.text, 'early');
    await until(() => answer !== undefined);
    await new Promise((resolve) => session.ping(resolve));
    expect(at.seen[0]?.endsWith('\r\n\r\n')).to.equal(true);
    answer?.();
    await socket.accepted();
    const expected = clientFrame(OPCODE.text, 'early').toString('latin1');
    await until(() => at.seen[0]?.endsWith(`\r\n\r\n${expected}`) === true);
  });

  it('passes the refusal of the application on, and nothing of the client', async () => {
    await start({
      upstream: raw((socket) => socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno chat')),
    });
    const socket = new Http2WebSocket(session).send(OPCODE.text, 'early');
    await socket.untilClosed();
    expect([socket.status, socket.bytes.toString('latin1'), socket.code]).to.deep.equal([404, 'no chat', 0]);
    expect(at.seen[0]?.endsWith('\r\n\r\n')).to.equal(true);
    expect(at.records.map(({ status, details }) => [status, details])).to.deep.equal([[404, '']]);
  });

  it('is refused by a policy without a connection to the application', async () => {
    await start({});
    const socket = new Http2WebSocket(session, '/no/chat').send(OPCODE.text, 'early');
    await socket.untilClosed();
    expect([socket.status, socket.bytes.toString('latin1'), socket.code]).to.deep.equal([403, 'RBAC: access denied', 0]);
    expect(at.seen).to.deep.equal([]);
  });

  it('is refused when the application answers another key', async () => {
    await start({ upstream: raw((socket) => socket.write(SWITCHED('sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=='))) });
    const socket = await new Http2WebSocket(session).untilClosed();
    expect(socket.status).to.equal(502);
    expect(at.records[0]?.details).to.equal('upstream_reset_before_response_started{protocol_error|response_websocket_accept}');
  });

  it('is refused when it announces a body', async () => {
    await start({});
    const client = new RawHttp2Client(at.port);
    client.send(headers(1, [...CONNECT, ['content-length', '5']], OPEN), data(1, 'GET /'));
    await client.response(1);
    expect([at.records[0]?.status, at.records[0]?.details]).to.deep.equal([400, 'upgrade_with_body']);
    expect(at.seen).to.deep.equal([]);
    client.close();
  });

  it('gets a close frame with 1001 in both directions when the agent stops', async () => {
    const closes: number[] = [];
    await start({
      application: await webSocketApplication((socket) => socket.on('close', (code: number) => closes.push(code))),
    });
    const socket = await new Http2WebSocket(session).accepted();
    const stopped = at.listener.stop(30);
    await socket.until(() => socket.frames.length === 1);
    expect(socket.frames[0]?.payload.readUInt16BE(0)).to.equal(1001);
    socket.stream.end(clientCloseFrame(1001));
    await socket.untilClosed();
    await stopped;
    await until(() => closes.length === 1);
    expect(closes).to.deep.equal([1001]);
    expect(at.connections()).to.equal(0);
  });

  it('is reset in the middle of a frame when the agent stops', async () => {
    await start({
      upstream: raw((socket, head) =>
        socket.write(Buffer.concat([Buffer.from(SWITCHED(head)), serverFrame(OPCODE.text, 'cut').subarray(0, 3)])),
      ),
    });
    const socket = await new Http2WebSocket(session).until(() => true);
    await socket.until(() => socket.bytes.length === 3);
    void at.listener.stop(30);
    await socket.untilClosed();
    expect([socket.bytes.length, socket.code]).to.deep.equal([3, CANCEL]);
  });

  it('is reset when the application reads nothing for too long', async () => {
    await start({
      limits: { bodyTimeoutMs: 50 },
      upstream: raw((socket, head) => {
        socket.write(SWITCHED(head));
        socket.pause();
      }),
    });
    const socket = await new Http2WebSocket(session).accepted();
    socket.stream.write(Buffer.alloc(32 * 1024 * 1024));
    await until(() => {
      at.listener.sweep(performance.now());
      return socket.closed;
    });
    expect(socket.code).to.equal(CANCEL);
  });
});

describe('an extended CONNECT that is abandoned', () => {
  const checking = httpChain((head) => ({
    ...checkOf(providerOf(1), headOf(head), head.connection),
    log: logOf('deny'),
    resume: (): Verdict => ({ kind: 'forward', head: headOf(head), log: logOf('allow') }),
  }));

  for (const [how, abandon] of [
    ['reset', (socket: Http2WebSocket) => socket.stream.close(CANCEL)],
    ['dropped with its connection', () => session.destroy()],
  ] as const) {
    it(`ends its check when it is ${how}`, async () => {
      let aborted = false;
      let isAsked = false;
      await start({
        filterChain: checking,
        extAuthz: (_check, _body, signal) => {
          isAsked = true;
          return new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              resolve(CHECK_ALLOWED);
            });
          });
        },
      });
      const socket = new Http2WebSocket(session);
      await until(() => isAsked);
      abandon(socket);
      await until(() => aborted && at.records.length === 1);
      expect(at.seen).to.deep.equal([]);
    });

    it(`closes its connection to the application when it is ${how} before the answer`, async () => {
      let isClosed = false;
      await start({ upstream: raw((socket) => socket.on('close', () => (isClosed = true))) });
      const socket = new Http2WebSocket(session);
      await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
      abandon(socket);
      await until(() => isClosed && at.records.length === 1);
      expect(at.records[0]?.details).to.equal('downstream_remote_disconnect');
    });

    it(`closes its connection to the application when it is ${how} behind the answer`, async () => {
      let isClosed = false;
      await start({
        upstream: raw((socket, head) => {
          socket.write(SWITCHED(head));
          socket.on('close', () => (isClosed = true));
        }),
      });
      abandon(await new Http2WebSocket(session).accepted());
      await until(() => isClosed && at.records.length === 1);
      expect([at.records[0]?.status, at.records[0]?.details]).to.deep.equal([101, '']);
    });

    it(`ends once when it is ${how} while it closes`, async () => {
      await start({ upstream: raw((socket, head) => socket.write(SWITCHED(head))) });
      const socket = await new Http2WebSocket(session).accepted();
      const stopped = at.listener.stop(5);
      await socket.until(() => socket.frames.length === 1);
      abandon(socket);
      await stopped;
      expect(at.records).to.have.length(1);
    });
  }
});

describe('frames of an extended CONNECT', () => {
  const without = (name: string): readonly Field[] => CONNECT.filter(([field]) => field !== name);
  const malformed: readonly (readonly [string, readonly Field[]])[] = [
    ['without :scheme', without(':scheme')],
    ['without :path', without(':path')],
    ['without :authority', without(':authority')],
    ['with Host instead of :authority', [...without(':authority'), ['host', 'a.example']]],
    ['with an empty :protocol', [...without(':protocol'), [':protocol', '']]],
    ['with two :protocol', [...CONNECT, [':protocol', 'websocket']]],
    ['with :protocol behind a field', [...without(':protocol'), ['x', 'y'], [':protocol', 'websocket']]],
    ['with a path that is no path', [...request({ method: 'CONNECT', path: 'chat' }), [':protocol', 'websocket']]],
    ['with the path *', [...request({ method: 'CONNECT', path: '*' }), [':protocol', 'websocket']]],
    ['with Upgrade', [...CONNECT, ['upgrade', 'websocket']]],
    ['with Connection', [...CONNECT, ['connection', 'upgrade']]],
    ['with the method GET', [...request({ path: '/' }), [':protocol', 'websocket']]],
    ['with the method POST', [...request({ path: '/', method: 'POST' }), [':protocol', 'websocket']]],
  ];
  for (const [name, fields] of malformed) {
    it(`end the connection ${name}`, async () => {
      at = await stage({ appProtocol: 'http1' });
      const client = new RawHttp2Client(at.port).send(headers(1, fields, OPEN));
      expect(await client.ended()).to.equal(1);
      expect(at.seen).to.deep.equal([]);
      expect(at.records.map(({ details }) => details)).to.deep.equal(['http2.invalid.header.field']);
    });
  }

  it('reset the stream for trailers', async () => {
    at = await stage({ appProtocol: 'http1', upstream: raw((socket, head) => socket.write(SWITCHED(head))) });
    const client = new RawHttp2Client(at.port).send(headers(1, CONNECT, OPEN));
    await client.until(() => client.of(1, TYPE.headers).length === 1);
    client.send(headers(1, [['x', 'y']]));
    const frames = await client.response(1);
    expect(frames.at(-1)?.payload).to.deep.equal(uint32(1));
    client.close();
  });

  it('reach the application behind the answer although the stream has ended', async () => {
    at = await stage({ appProtocol: 'http1', upstream: raw((socket, head) => socket.write(SWITCHED(head))) });
    const client = new RawHttp2Client(at.port).send(headers(1, CONNECT, OPEN), frame(TYPE.data, 1, 1, clientFrame(OPCODE.text, 'x')));
    await client.response(1);
    const expected = clientFrame(OPCODE.text, 'x').toString('latin1');
    expect(at.seen[0]?.endsWith(expected)).to.equal(true);
    client.close();
  });

  it('are those of other streams, too', async () => {
    at = await stage({
      appProtocol: 'http1',
      upstream: (socket) => {
        let head = '';
        socket.on('data', (chunk: Buffer) => {
          head += chunk.toString('latin1');
          if (head.startsWith('GET /plain') && head.includes('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          else if (head.includes('\r\n\r\n')) socket.write(SWITCHED(head));
        });
      },
    });
    const client = new RawHttp2Client(at.port).send(headers(1, CONNECT, OPEN), headers(3, request({ path: '/plain' })));
    await client.response(3);
    await client.until(() => client.of(1, TYPE.headers).length === 1);
    expect(client.of(3, TYPE.data)[0]?.payload.toString()).to.equal('ok');
    client.close();
  });
});
