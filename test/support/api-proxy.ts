/*
 * A way to the API server on which requests are delayed, refused or lost: for clients that are impersonated.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * What becomes of a request. `hold`: it does not arrive. `mute`: it takes effect, but has no response. `status`: it is refused by the way. `delayMs`: it
 * arrives later.
 */
export type Fate =
  | { readonly kind: 'forward' | 'hold' | 'mute' }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'delay'; readonly delayMs: number };

/** Who comes this way. */
export interface ApiProxyOptions {
  /** Kubeconfig of an administrator, as whom clients are impersonated. */
  readonly admin: string;
  readonly user: string;
  readonly groups: readonly string[];
  /** Called for each request. */
  readonly fateOf: (method: string, url: string) => Fate;
}

export interface ApiProxy {
  /** Kubeconfig of a client that comes this way. */
  readonly kubeconfig: string;
  /** Ends all watches. */
  readonly cutWatches: () => void;
  /** Ends the connections of requests whose responses were lost; their clients would wait until their deadlines. */
  readonly endMuted: () => void;
  readonly stop: () => Promise<void>;
}

/** `forward`: nothing gets lost. `hold`: writes of bundles do not arrive. `mute`: they take effect, but have no response. */
export type WriteMode = 'forward' | 'hold' | 'mute';

export interface WriteProxy extends Pick<ApiProxy, 'kubeconfig' | 'stop'> {
  readonly setMode: (mode: WriteMode) => void;
  /** Writes that were held or muted so far. */
  readonly lost: () => number;
}

interface Admin {
  readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }];
  readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }];
}

const BUNDLES = /^\/api\/v1\/namespaces\/[^/]+\/configmaps(?:\/sallyport-bundle-|\?|$)/;

/** A way on which only writes of bundles get lost. */
export async function startWriteProxy(options: Omit<ApiProxyOptions, 'fateOf'>): Promise<WriteProxy> {
  let mode: WriteMode = 'forward';
  let lost = 0;
  const proxy = await startApiProxy({
    ...options,
    fateOf: (method, url) => {
      if (method === 'GET' || !BUNDLES.test(url) || mode === 'forward') return { kind: 'forward' };
      lost += 1;
      return { kind: mode };
    },
  });
  return {
    ...proxy,
    setMode: (next) => {
      mode = next;
    },
    lost: () => lost,
  };
}

/** Starts listening on a loopback port. */
export async function startApiProxy({ admin, user, groups, fateOf }: ApiProxyOptions): Promise<ApiProxy> {
  const { clusters, users } = JSON.parse(readFileSync(admin, 'utf8')) as Admin;
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
  const target = clusters[0].cluster['server'] ?? '';
  const agent = new Agent({
    keepAlive: true,
    ca: decode(clusters[0].cluster['certificate-authority-data']),
    cert: decode(users[0].user['client-certificate-data']),
    key: decode(users[0].user['client-key-data']),
  });
  const watches = new Set<ServerResponse>();
  const muted = new Set<ServerResponse>();
  const forward = (received: IncomingMessage, response: ServerResponse, isMuted: boolean): void => {
    const headers = { ...received.headers, 'impersonate-user': user, 'impersonate-group': [...groups] };
    const {
      host: _host,
      connection: _connection,
      authorization: _authorization,
      ...rest
    } = headers as Readonly<Record<string, string | string[]>>;
    if (isMuted) muted.add(response);
    response.once('close', () => muted.delete(response));
    const sent = request(`${target}${received.url}`, { method: received.method ?? 'GET', headers: rest, agent });
    sent.on('response', (answer) => {
      if (isMuted) {
        answer.resume();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
    });
    for (const stream of [sent, received, response]) stream.on('error', () => void response.destroy());
    response.on('close', () => void sent.destroy());
    received.pipe(sent);
  };
  const server = createServer((received, response) => {
    const { method = 'GET', url = '' } = received;
    if (url.includes('watch=')) {
      watches.add(response);
      response.once('close', () => watches.delete(response));
    }
    const fate = fateOf(method, url);
    switch (fate.kind) {
      case 'hold':
        // Ends with the connection of its client.
        received.resume();
        break;
      case 'status':
        received.resume();
        response.writeHead(fate.status, { 'content-type': 'application/json' }).end(statusObject(fate.status));
        break;
      case 'delay':
        void delay(fate.delayMs).then(() => forward(received, response, false));
        break;
      default:
        forward(received, response, fate.kind === 'mute');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kubeconfig = `${admin}.lossy`;
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lossy',
    clusters: [{ name: 'lossy', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'lossy', user: { token: 'unused' } }],
    contexts: [{ name: 'lossy', context: { cluster: 'lossy', user: 'lossy' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return {
    kubeconfig,
    cutWatches: () => {
      for (const response of watches) response.destroy();
    },
    endMuted: () => {
      for (const response of muted) response.destroy();
    },
    stop: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function statusObject(code: number): string {
  const reasons: Readonly<Record<number, string>> = { 409: 'Conflict', 410: 'Expired', 429: 'TooManyRequests' };
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: reasons[code] ?? 'InternalError', code });
}
