/*
 * An agent's end of the feed for tests: a token as the kubelet would get it, and a stream that says whatever the test wants.
 */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { FEED_AUDIENCE } from '../../src/api/kube/agent-contract.ts';
import type { KubeClient } from '../../src/cluster/client.ts';
import { type Frame, FrameReader, frameHead } from '../../src/feed/frames.ts';
import { FEED_PATH, FEED_PROTOCOL, MAX_DOWN_BYTES } from '../../src/feed/protocol.ts';
import { until } from './fake-clock.ts';

export interface FeedClientOptions {
  readonly host?: string;
  readonly port: number;
  readonly authorities: string;
  readonly serverName: string;
  readonly token?: string;
  /** Address that the connection is from; absent: that of the system's choice. */
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FeedClient {
  readonly socket: Duplex;
  /** What the controller sent. */
  readonly frames: readonly Frame[];
  readonly send: (type: number, payload: Buffer | object) => void;
  readonly isClosed: () => boolean;
  readonly close: () => void;
}

/** Opens a stream; the response when the controller refuses it. */
export async function openFeed(
  options: FeedClientOptions,
): Promise<FeedClient | { readonly status: number; readonly headers: IncomingMessage['headers'] }> {
  const { host = '127.0.0.1', port, authorities, serverName, token, from, headers = {} } = options;
  const sent = request({
    host,
    port,
    ca: authorities,
    servername: serverName,
    path: FEED_PATH,
    agent: false,
    ...(from === undefined ? {} : { localAddress: from }),
    headers: {
      connection: 'Upgrade',
      upgrade: FEED_PROTOCOL,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
  });
  sent.end();
  const opened = Promise.withResolvers<FeedClient | { readonly status: number; readonly headers: IncomingMessage['headers'] }>();
  sent.on('error', opened.reject);
  sent.on('response', (response) => {
    response.resume();
    opened.resolve({ status: response.statusCode ?? 0, headers: response.headers });
  });
  sent.on('upgrade', (_response, socket, head) => opened.resolve(clientOf(socket, head)));
  return opened.promise;
}

/** The same; fails when there is no stream. */
export async function openStream(options: FeedClientOptions): Promise<FeedClient> {
  const opened = await openFeed(options);
  if ('status' in opened) throw new Error(`status ${opened.status} ${String(opened.headers['sallyport-reason'])}`);
  return opened;
}

function clientOf(socket: Duplex, head: Buffer): FeedClient {
  const reader = new FrameReader(MAX_DOWN_BYTES);
  const frames: Frame[] = [];
  let isClosed = false;
  const take = (chunk: Buffer): void => void frames.push(...(reader.push(chunk) ?? []));
  take(head);
  socket.on('data', take);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  return {
    socket,
    frames,
    send: (type, payload) => {
      const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
      socket.write(Buffer.concat([frameHead(type, bytes.length), bytes]));
    },
    isClosed: () => isClosed,
    close: () => socket.destroy(),
  };
}

/** Resolves when the other side has closed the stream. */
export async function untilClosed({ isClosed }: FeedClient): Promise<void> {
  await until(isClosed, 'the end of the stream');
}

export interface TokenWish {
  readonly namespace: string;
  /** ServiceAccount; absent: `default`. */
  readonly account?: string;
  /** Absent: the token is bound to no pod. */
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly audience?: string;
}

/** A token from the API server. */
export async function tokenOf(
  client: KubeClient,
  { namespace, account = 'default', pod, audience = FEED_AUDIENCE }: TokenWish,
): Promise<string> {
  const { json } = await client.request({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: [audience],
        expirationSeconds: 600,
        ...(pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
      },
    },
  });
  return (json as { readonly status: { readonly token: string } }).status.token;
}
