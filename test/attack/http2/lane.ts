/*
 * A lane over HTTP/2: one port of a proxy with a separate application behind it, which speaks HTTP/2 or HTTP/1.1.
 */
import { once } from 'node:events';
import { createServer as createHttp1, type Server } from 'node:http';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { HpackDecoder } from '../../../src/agent/http2/hpack/decoder.ts';
import { type Frame, headers, RawHttp2Client, request, TYPE } from '../../support/http2-frames.ts';
import type { Pinger } from '../client.ts';
import type { Http2Case } from './cases.ts';

/** What is compared. */
export interface Http2Outcome {
  /** Status, or how the stream ended without one. */
  readonly status: string;
  /** Whether the connection serves another request. */
  readonly connection: string;
  /** Requests that the application received. */
  readonly application: string;
}

/** Fields that a proxy makes itself. */
const OWN: ReadonlySet<string> = new Set([
  'x-request-id',
  'x-forwarded-proto',
  'x-envoy-expected-rq-timeout-ms',
  'host',
  'connection',
  'transfer-encoding',
]);
const SENTINEL = 1001;

/** An application that records requests. */
export class RecordingApplication {
  readonly isHttp2: boolean;
  readonly #server: Server | Http2Server;
  readonly #open = new Set<ServerHttp2Session | Socket>();
  events = 0;
  received: string[] = [];

  constructor(isHttp2: boolean) {
    this.isHttp2 = isHttp2;
    this.#server = isHttp2 ? this.#http2() : this.#http1();
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    for (const connection of this.#open) connection.destroy();
  }

  #record(head: string, fields: readonly string[], body: string, trailers: readonly string[]): void {
    const kept: string[] = [];
    for (let at = 0; at < fields.length; at += 2) {
      const name = (fields[at] ?? '').toLowerCase();
      if (!name.startsWith(':') && !OWN.has(name)) kept.push(`${name}: ${fields[at + 1] ?? ''}`);
    }
    this.events += 1;
    const short = kept.map((line) => (line.length > 100 ? `${line.slice(0, 20)}… (${line.length})` : line));
    const shown = short.length > 20 ? [`${short.length} fields`] : short;
    this.received.push(
      JSON.stringify([
        head,
        ...shown,
        ...(body === '' ? [] : [`body ${body.slice(0, 80)}`]),
        ...(trailers.length === 0 ? [] : [`trailers ${trailers.join()}`]),
      ]),
    );
  }

  #http2(): Http2Server {
    const server = createServer();
    server.on('session', (session) => {
      this.#open.add(session);
      session.on('error', () => {});
      session.on('close', () => this.#open.delete(session));
    });
    server.on('stream', (stream, head, _flags, raw) => {
      let body = '';
      let trailers: readonly string[] = [];
      this.events += 1;
      stream.on('error', () => {});
      stream.on('trailers', (_fields, _flag, rawTrailers) => (trailers = rawTrailers as unknown as string[]));
      stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      stream.on('end', () => {
        // A stream that was reset ends, too.
        if (stream.aborted || stream.rstCode !== 0) return;
        const [method, path] = [String(head[':method']), String(head[':path'])];
        if (path !== '/sentinel')
          this.#record(`${method} ${path} ${String(head[':authority'])}`, raw as unknown as string[], body, trailers);
        if (stream.destroyed) return;
        stream.respond({ ':status': 200 });
        stream.end(method === 'HEAD' ? '' : 'ok');
      });
    });
    return server;
  }

  #http1(): Server {
    const server = createHttp1((message, response) => {
      let body = '';
      this.events += 1;
      message.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      message.on('end', () => {
        const { method = '', url = '' } = message;
        if (url !== '/sentinel')
          this.#record(`${method} ${url} ${message.headers.host ?? ''}`, message.rawHeaders, body, message.rawTrailers);
        response.end('ok');
      });
    });
    server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
    });
    return server;
  }
}

/** One proxy port. */
export class Http2Lane {
  readonly application: RecordingApplication;
  readonly #port: number;
  readonly #pinger: Pinger;

  constructor(port: number, application: RecordingApplication, pinger: Pinger) {
    this.#port = port;
    this.application = application;
    this.#pinger = pinger;
  }

  /** Sends the parts of a case, and a valid request behind them on the same connection. */
  async run({ parts }: Http2Case): Promise<Http2Outcome> {
    this.application.received = [];
    const client = new RawHttp2Client(this.#port);
    const events = (): number => client.bytes.length + this.application.events + (client.closed ? 1 : 0);
    for (const part of parts) {
      client.send(part);
      await this.#pinger.read();
    }
    await this.#pinger.settle(events);
    const isMinded = !client.closed;
    if (isMinded) client.send(headers(SENTINEL, request({ path: '/sentinel' })));
    await this.#pinger.settle(events, () => statusesOf(client.frames).has(SENTINEL));
    await this.#pinger.settle(events);
    const statuses = statusesOf(client.frames);
    const application = this.application.received.join(' ');
    client.close();
    await this.#pinger.read();
    const kept = statuses.get(SENTINEL) === '200';
    statuses.delete(SENTINEL);
    // Envoy ends a connection without an answer to what was under way; the agent may have sent one in the same read.
    return { status: kept ? [...statuses.values()].join() : '', connection: kept ? 'kept' : 'ended', application };
  }
}

/** Final status of each stream, or `reset N`. */
function statusesOf(frames: readonly Frame[]): Map<number, string> {
  const decoder = new HpackDecoder({ listBytes: 100_000, fields: 1000 });
  const statuses = new Map<number, string>();
  for (const { type, flags, id, payload } of frames) {
    if (type === TYPE.rst && !statuses.has(id)) statuses.set(id, `reset ${payload.readUInt32BE(0)}`);
    if (type !== TYPE.headers) continue;
    const padding = (flags & 8) === 0 ? 0 : (payload[0] ?? 0);
    const fields = decoder.decode(payload, (flags & 8) === 0 ? 0 : 1, payload.length - padding);
    const status = typeof fields === 'string' ? fields : fields[0] === ':status' ? fields[1] : undefined;
    if (status !== undefined && !(status.startsWith('1') && status.length === 3)) statuses.set(id, status);
  }
  return statuses;
}
