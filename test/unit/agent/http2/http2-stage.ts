/*
 * A listener between clients and an application over HTTP/2, which is Node's own implementation.
 */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Stage, type StageOptions, stage } from '../loopback.ts';

/** A request as the application received it. */
export interface ReceivedRequest {
  /** Names and values in order. */
  readonly headers: readonly string[];
  body: string;
  trailers: readonly string[] | undefined;
  /** Error code when the stream was reset. */
  reset: number | undefined;
}

export interface Http2Stage extends Stage {
  readonly received: readonly ReceivedRequest[];
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  /** A connection of a client. */
  readonly connect: () => ClientHttp2Session;
}

/** Answers one request, when its head has come. */
export type Answer = (stream: ServerHttp2Stream, request: ReceivedRequest) => void;

/** 200 with the body that was sent, when it is complete. */
export const echo: Answer = (stream, request) => {
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.end(Buffer.from(request.body, 'latin1'));
  });
};

export interface Http2StageOptions extends StageOptions {
  readonly answer?: Answer;
  readonly settings?: { readonly maxConcurrentStreams?: number; readonly initialWindowSize?: number };
  readonly onSession?: (session: ServerHttp2Session, nth: number) => void;
}

export async function http2Stage(options: Http2StageOptions = {}): Promise<Http2Stage> {
  const received: ReceivedRequest[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server: Http2Server = createServer({ settings: options.settings ?? {} });
  let count = 0;
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
    count += 1;
    options.onSession?.(session, count);
  });
  server.on('stream', (stream, _headers, _flags, raw) => {
    const request: ReceivedRequest = { headers: raw as unknown as string[], body: '', trailers: undefined, reset: undefined };
    received.push(request);
    stream.on('data', (chunk: Buffer) => (request.body += chunk.toString('latin1')));
    stream.on('trailers', (_trailers, _flag, rawTrailers) => (request.trailers = rawTrailers as unknown as string[]));
    stream.on('error', () => {});
    stream.on('close', () => (request.reset = stream.rstCode));
    (options.answer ?? echo)(stream, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const clients = new Set<ClientHttp2Session>();
  const base = await stage({ ...options, application: options.application ?? (server.address() as AddressInfo).port });
  return {
    ...base,
    received,
    sessions,
    connect: () => {
      const client = connect(`http://127.0.0.1:${base.port}`);
      client.on('error', () => {});
      clients.add(client);
      return client;
    },
    async stop() {
      for (const client of clients) client.destroy();
      await base.stop();
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

/** What a client got. */
export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, unknown>> | undefined;
  /** Error code of the stream's end; 0: none. */
  readonly code: number;
}

/** Collects the response to a request. */
export async function responseOf(stream: ClientHttp2Stream): Promise<Response> {
  let headers: Readonly<Record<string, unknown>> = {};
  let trailers: Readonly<Record<string, unknown>> | undefined;
  let body = '';
  stream.on('response', (head) => (headers = head));
  stream.on('trailers', (fields) => (trailers = fields));
  stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
  stream.on('error', () => {});
  await new Promise((resolve) => stream.once('close', resolve));
  return { status: Number(headers[':status'] ?? 0), headers, body, trailers, code: stream.rstCode };
}

/** One request with a body, maybe empty, and its response. */
export async function send(client: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string): Promise<Response> {
  const stream = client.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(Buffer.from(body, 'latin1'));
  return await responseOf(stream);
}
