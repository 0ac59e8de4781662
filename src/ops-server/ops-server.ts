/*
 * The controller's own HTTP server. In: named checks and the metrics text. Out: `/healthz`, `/readyz` (with `/readyz/<check>`
 * and `?verbose`) and `/metrics`. Probed by the kubelet, scraped by Prometheus; nothing here is secret.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../telemetry/logger.ts';

/** `undefined`: fine; otherwise why not, for a person. */
export type Check = () => string | undefined;

export interface HealthOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Whether the process works at all; never depends on the API server. */
  readonly live: Readonly<Record<string, Check>>;
  /** Whether it may be relied on. */
  readonly ready: Readonly<Record<string, Check>>;
  readonly metricsText: () => Promise<string>;
  readonly logger: Logger;
}

export interface HealthServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** A server that answers already. @throws the system's error when the port cannot be had */
export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 5_000 }, (request, response) => {
    answer(options, request.method ?? '', URL.parse(request.url ?? '/', 'http://controller')).then(
      (reply) => send(response, reply),
      (error: unknown) => {
        options.logger.error({ err: error }, 'bug in the health server');
        send(response, { status: 500, type: 'text/plain', body: 'internal error\n' });
      },
    );
  });
  server.maxConnections = 128;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(options: HealthOptions, method: string, url: URL | null): Promise<Reply> {
  if (url === null) return plain(400, 'bad request\n');
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET\n');
  if (url.pathname === '/metrics') {
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await options.metricsText() };
  }
  const [, probe, name, ...rest] = url.pathname.split('/');
  const checks = probe === 'healthz' || probe === 'livez' ? options.live : probe === 'readyz' ? options.ready : undefined;
  if (checks === undefined || rest.length > 0) return plain(404, 'not found\n');
  const asked = Object.entries(checks).filter(
    ([check]) => (name === undefined || check === name) && !url.searchParams.getAll('exclude').includes(check),
  );
  if (name !== undefined && asked.length === 0) return plain(404, 'no such check\n');
  return report(probe ?? '', asked, url.searchParams.has('verbose'));
}

function report(probe: string, checks: readonly (readonly [string, Check])[], verbose: boolean): Reply {
  const results = checks.map(([name, check]) => ({ name, reason: check() }));
  const isFine = results.every(({ reason }) => reason === undefined);
  if (isFine && !verbose) return plain(200, 'ok\n');
  const lines = results.map(({ name, reason }) => (reason === undefined ? `[+]${name} ok` : `[-]${name} failed: ${reason}`));
  return plain(isFine ? 200 : 503, `${lines.join('\n')}\n${probe} check ${isFine ? 'passed' : 'failed'}\n`);
}

function plain(status: number, body: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body };
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    'x-content-type-options': 'nosniff',
  });
  response.end(reply.body);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
