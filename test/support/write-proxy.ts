/*
 * A way to the API server on which writes of bundles get lost: held before they arrive, or their responses after they have taken effect.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';

/** `forward`: nothing gets lost. `hold`: writes of bundles do not arrive. `mute`: they take effect, but have no response. */
export type WriteMode = 'forward' | 'hold' | 'mute';

export interface WriteProxy {
  /** Kubeconfig of a client that comes this way. */
  readonly kubeconfig: string;
  readonly setMode: (mode: WriteMode) => void;
  /** Writes that were held or muted so far. */
  readonly lost: () => number;
  readonly stop: () => Promise<void>;
}

interface Admin {
  readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }];
  readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }];
}

const BUNDLES = /^\/api\/v1\/namespaces\/[^/]+\/configmaps(?:\/sallyport-bundle-|\?|$)/;

/** @param admin kubeconfig of an administrator, as whom clients are impersonated */
export async function startWriteProxy(admin: string, user: string, groups: readonly string[]): Promise<WriteProxy> {
  const { clusters, users } = JSON.parse(readFileSync(admin, 'utf8')) as Admin;
  const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
  const target = clusters[0].cluster['server'] ?? '';
  const agent = new Agent({
    keepAlive: true,
    ca: decode(clusters[0].cluster['certificate-authority-data']),
    cert: decode(users[0].user['client-certificate-data']),
    key: decode(users[0].user['client-key-data']),
  });
  let mode: WriteMode = 'forward';
  let lost = 0;
  const forward = (received: IncomingMessage, response: ServerResponse, isMuted: boolean): void => {
    const headers = { ...received.headers, 'impersonate-user': user, 'impersonate-group': [...groups] };
    const {
      host: _host,
      connection: _connection,
      authorization: _authorization,
      ...rest
    } = headers as Readonly<Record<string, string | string[]>>;
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
    const isBundle = received.method !== 'GET' && BUNDLES.test(received.url ?? '');
    if (isBundle && mode !== 'forward') lost += 1;
    // A held write ends with the connection of its client.
    if (isBundle && mode === 'hold') received.resume();
    else forward(received, response, isBundle && mode === 'mute');
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
    setMode: (next) => {
      mode = next;
    },
    lost: () => lost,
    stop: () =>
      new Promise((resolve) => {
        agent.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
