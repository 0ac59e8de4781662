/*
 * WebSockets in front of applications that speak HTTP/2 (Node's own implementation), of clients over HTTP/2 and HTTP/1.1.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { type Field, frame, headers, OPEN, RawHttp2Client, request, settings, TYPE, uint32 } from '../../../support/http2-frames.ts';
import { clientFrame, framesOf, OPCODE, serverFrame } from '../../../support/web-socket-frames.ts';
import { type Stage, type StageOptions, stage, until } from '../loopback.ts';
import { connectHttp2, Http2WebSocket } from './web-socket-client.ts';

const CANCEL = 8;
const CONNECT: readonly Field[] = [...request({ method: 'CONNECT', path: '/' }), [':protocol', 'websocket']];

let at: Stage;
let session: ClientHttp2Session;
const ends: (() => void)[] = [];

async function start(options: StageOptions): Promise<void> {
  at = await stage({ appProtocol: 'http2', ...options });
  session = await connectHttp2(at.port);
}

afterEach(async () => {
  session?.destroy();
  await at?.stop();
  for (const end of ends.splice(0)) end();
});

describe('a WebSocket to an application that speaks HTTP/2', () => {
  interface Application {
    readonly port: number;
    readonly heads: Readonly<Record<string, unknown>>[];
  }

  async function application(serve: (stream: ServerHttp2Stream) => void, enableConnectProtocol = true): Promise<Application> {
    const server: Http2Server = createServer({ settings: { enableConnectProtocol } });
    const heads: Readonly<Record<string, unknown>>[] = [];
    server.on('session', (of) => {
      of.on('error', () => {});
      ends.push(() => of.destroy());
    });
    server.on('stream', (stream, head) => {
      stream.on('error', () => {});
      heads.push(head);
      serve(stream);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    return { port: (server.address() as AddressInfo).port, heads };
  }

  /** Sends each message of a client back. */
  const echoFrames = (stream: ServerHttp2Stream): void => {
    stream.respond({ ':status': 200 });
    let bytes = Buffer.alloc(0);
    let done = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const frames = framesOf(bytes);
      for (const { opcode, payload } of frames.slice(done)) stream.write(serverFrame(opcode, payload));
      done = frames.length;
    });
    stream.on('end', () => stream.end());
  };

  it('is an extended CONNECT for a client that speaks HTTP/2', async () => {
    const app = await application(echoFrames);
    await start({ application: app.port });
    const socket = await new Http2WebSocket(session, '/chat').accepted();
    socket.send(OPCODE.text, 'hello');
    await socket.until(() => socket.frames.length === 1);
    expect(socket.frames[0]?.payload.toString()).to.equal('hello');
    const { ':method': method, ':protocol': protocol, ':path': path, ':scheme': scheme, ':authority': authority } = app.heads[0] ?? {};
    expect([method, protocol, path, scheme, authority]).to.deep.equal(['CONNECT', 'websocket', '/chat', 'http', 'a.example']);
    expect(app.heads[0]).to.not.have.any.keys('upgrade', 'connection');
    socket.stream.end();
    await socket.untilClosed();
    expect([socket.ended, socket.code]).to.deep.equal([true, 0]);
    await until(() => at.records.length === 1);
    expect(at.records[0]?.status).to.equal(101);
  });

  it('is an extended CONNECT for a client that speaks HTTP/1.1, with the answer to its key', async () => {
    const app = await application(echoFrames);
    await start({ application: app.port });
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/chat`, ['chat']);
    socket.on('error', () => {});
    // The application chooses no subprotocol, which `ws` reports as an error behind the handshake.
    await once(socket, 'upgrade');
    expect(app.heads[0]?.[':protocol']).to.equal('websocket');
    const plain = new WebSocket(`ws://127.0.0.1:${at.port}/chat`);
    await once(plain, 'open');
    plain.send('hello');
    const [message] = (await once(plain, 'message')) as [Buffer];
    expect(message.toString()).to.equal('hello');
    plain.close(1000);
    const [code] = (await once(plain, 'close')) as [number];
    expect(code).to.equal(1000);
  });

  it('passes messages of 2 MiB in both directions', async () => {
    const app = await application((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    await start({ application: app.port });
    const socket = await new Http2WebSocket(session).accepted();
    const bytes = clientFrame(OPCODE.binary, randomBytes(2 * 1024 * 1024));
    socket.stream.write(bytes);
    await socket.until(() => socket.received === bytes.length);
    expect(socket.bytes.equals(bytes)).to.equal(true);
  });

  it('is refused when the application has not announced RFC 8441', async () => {
    const app = await application(echoFrames, false);
    await start({ application: app.port });
    for (let nth = 0; nth < 2; nth += 1) {
      const socket = await new Http2WebSocket(session).untilClosed();
      expect(socket.status).to.equal(502);
      expect(at.records[nth]?.details).to.equal('upstream_reset_before_response_started{protocol_error|http2_upstream_without_upgrade}');
    }
    expect(app.heads).to.deep.equal([]);
  });

  it('passes a refusal on', async () => {
    const app = await application((stream) => {
      stream.respond({ ':status': 403 });
      stream.end('not you');
    });
    await start({ application: app.port });
    const socket = await new Http2WebSocket(session).untilClosed();
    expect([socket.status, socket.bytes.toString(), socket.code]).to.deep.equal([403, 'not you', 0]);
  });

  it('passes resets on in both directions', async () => {
    const codes: number[] = [];
    const app = await application((stream) => {
      stream.on('close', () => codes.push(stream.rstCode));
      stream.respond({ ':status': 200 });
      stream.on('data', () => stream.close(2));
    });
    await start({ application: app.port });
    const first = await new Http2WebSocket(session).accepted();
    first.stream.close(CANCEL);
    await until(() => codes.length === 1);
    expect(codes).to.deep.equal([CANCEL]);
    const second = await new Http2WebSocket(session).accepted();
    second.send(OPCODE.text, 'x');
    await second.untilClosed();
    expect(second.code).to.equal(CANCEL);
  });

  it('leaves the connection to other requests when it is abandoned before the settings of the application', async () => {
    let application: Socket | undefined;
    await start({ limits: { connectTimeoutMs: 50 }, upstream: (socket) => (application = socket) });
    const client = new RawHttp2Client(at.port).send(headers(1, CONNECT, OPEN));
    await until(() => (at.seen[0] ?? '') !== '');
    client.send(headers(3, request({ path: '/' })), frame(TYPE.rst, 0, 1, uint32(CANCEL)));
    await client.settled();
    application?.write(settings([8, 1]));
    await until(() => (at.seen[0] ?? '').length > 100);
    await sleep(100);
    at.listener.sweep(performance.now());
    application?.write(headers(1, [[':status', '204']]));
    const frames = await client.response(3);
    expect(frames.map(({ type }) => type)).to.deep.equal([TYPE.headers]);
    expect(at.records.map(({ status }) => status)).to.deep.equal([0, 204]);
    client.close();
  });

  it('fails when the application is gone before its settings', async () => {
    await start({ upstream: (socket) => socket.once('data', () => socket.destroy()) });
    const socket = await new Http2WebSocket(session).untilClosed();
    expect(socket.status).to.equal(503);
  });

  it('fails when the settings of the application do not come in time', async () => {
    await start({ limits: { connectTimeoutMs: 50 }, upstream: () => {} });
    const socket = new Http2WebSocket(session);
    await until(() => {
      at.listener.sweep(performance.now());
      return socket.closed;
    });
    expect(socket.status).to.equal(503);
    expect(at.records[0]?.details).to.equal('upstream_reset_before_response_started{connection_timeout}');
  });
});
