/*
 * A small API server in the test's process, for failures that a real one does not produce on demand: dropped connections,
 * stalls, 410, garbage, errors with Retry-After. Serves list (paginated) and watch over plain HTTP.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface FakeWatch {
  readonly query: URLSearchParams;
  /** Writes the string unchanged. */
  send(raw: string): void;
  /** Writes one event of the watch. */
  event(type: string, object: unknown): void;
  /** Ends the response as the server does at the timeout. */
  end(): void;
  /** Drops the connection. */
  drop(): void;
  readonly closed: boolean;
}

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** Responds to a request and returns true, or returns false to let the server respond. */
export type Fault = (request: FakeRequest, response: ServerResponse) => boolean;

export interface FakeApiServer {
  readonly url: string;
  /** Path of a kubeconfig for it. */
  readonly kubeconfig: string;
  readonly requests: FakeRequest[];
  readonly watches: FakeWatch[];
  /** TCP connections accepted so far. */
  connections(): number;
  /** Stores an object under the next resourceVersion; open watches get an event. */
  put(object: FakeObject): void;
  remove(name: string): void;
  /** Stores an object without an event, as if the watch had missed it. */
  putSilently(object: FakeObject): void;
  resourceVersion(): number;
  fault: Fault | undefined;
  stop(): Promise<void>;
}

/** Responds with a Status object. */
export function answerStatus(response: ServerResponse, code: number, reason: string, headers: Record<string, string> = {}): true {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'SECRET-IN-BODY', reason, code }));
  return true;
}

export async function startFakeApiServer(): Promise<FakeApiServer> {
  const objects = new Map<string, FakeObject>();
  const sockets = new Set<Socket>();
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-fake-'));
  let version = 100;
  let accepted = 0;

  const store = (object: FakeObject): FakeObject => {
    version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    objects.set(object.metadata.name, stored);
    return stored;
  };

  const fake: FakeApiServer = {
    url: '',
    kubeconfig: join(folder, 'kubeconfig'),
    requests: [],
    watches: [],
    fault: undefined,
    connections: () => accepted,
    resourceVersion: () => version,
    put: (object) => {
      const type = objects.has(object.metadata.name) ? 'MODIFIED' : 'ADDED';
      const stored = store(object);
      for (const watch of fake.watches) watch.event(type, stored);
    },
    putSilently: (object) => {
      store(object);
    },
    remove: (name) => {
      const old = objects.get(name);
      if (old === undefined) return;
      objects.delete(name);
      version += 1;
      for (const watch of fake.watches) watch.event('DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: String(version) } });
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };

  const list = (request: FakeRequest, response: ServerResponse): void => {
    const all = [...objects.values()].sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
    const from = Number(request.query.get('continue') ?? 0);
    const limit = Number(request.query.get('limit') ?? all.length);
    const next = from + limit < all.length ? String(from + limit) : '';
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        kind: 'List',
        metadata: { resourceVersion: String(version), continue: next },
        items: all.slice(from, from + limit),
      }),
    );
  };

  const watch = (request: FakeRequest, response: ServerResponse): void => {
    let closed = false;
    response.on('close', () => {
      closed = true;
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const send = (raw: string): void => {
      if (!closed) response.write(raw);
    };
    const opened: FakeWatch = {
      query: request.query,
      send,
      event: (type, object) => send(`${JSON.stringify({ type, object })}\n`),
      end: () => response.end(),
      drop: () => response.destroy(),
      get closed() {
        return closed;
      },
    };
    for (const object of objects.values()) {
      if (Number(object.metadata.resourceVersion) > Number(request.query.get('resourceVersion'))) opened.event('ADDED', object);
    }
    fake.watches.push(opened);
  };

  const server = createServer((incoming, response) => {
    void text(incoming).then((body) => {
      const url = new URL(incoming.url ?? '/', 'http://fake');
      const request: FakeRequest = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body,
      };
      fake.requests.push(request);
      if (fake.fault?.(request, response) === true) return;
      if (request.query.get('watch') === 'true') watch(request, response);
      else list(request, response);
    });
  });
  server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(fake.kubeconfig, kubeconfigFor(url));
  return Object.assign(fake, { url });
}

/** A kubeconfig with a token and a namespace; plain HTTP needs `insecure-skip-tls-verify`. */
export function kubeconfigFor(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'fake',
    clusters: [{ name: 'fake', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'tester', user: { token: 'a-token' } }],
    contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'tester', namespace: 'home' } }],
  });
}
