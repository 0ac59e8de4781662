/*
 * The agent's admin port: /healthz, /readyz, /metrics and the application's own probes. In: GET requests of kubelet and
 * Prometheus. Out: short texts. Nothing here tells policies, tokens or claims. Started by the agent.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { APP_HEALTH_PREFIX } from '../../api/kube/agent-contract.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { listenOn } from '../proxy/addresses.ts';
import type { ProbeResult } from './app-probe.ts';

export interface AdminOptions {
  /** Undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
  readonly logger: Logger;
  /** A policy is in force. */
  readonly isReady: () => boolean;
  /** Text of all metrics and its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** Runs a probe by its name `<container>/<livez|readyz|startupz>`; undefined: there is none of that name. */
  readonly probe: (name: string) => Promise<ProbeResult> | undefined;
}

export interface AdminServer {
  readonly port: number;
  stop(): void;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly contentType?: string;
}

const NOT_FOUND: Answer = { status: 404, text: 'not found\n' };
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 128;

/** Serves the admin port. @throws the system's error when the address is taken */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const server: Server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, options).then(
      (found) => send(response, found),
      (error: unknown) => {
        options.logger.error({ err: error }, 'admin request failed');
        send(response, { status: 500, text: 'internal error\n' });
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listenOn(server, options.host, options.port);
  return {
    port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(request: IncomingMessage, options: AdminOptions): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, text: 'only GET\n' };
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  if (path.startsWith(APP_HEALTH_PREFIX)) {
    const result = await options.probe(path.slice(APP_HEALTH_PREFIX.length));
    return result ?? NOT_FOUND;
  }
  switch (path) {
    case '/healthz':
      return { status: 200, text: 'ok\n' };
    case '/readyz':
    case '/readyz/bundle':
      return options.isReady()
        ? { status: 200, text: '[+]bundle ok\nok\n' }
        : { status: 503, text: '[-]bundle failed: no policy bundle in force yet\nnot ready\n' };
    case '/metrics': {
      const { text, contentType } = await options.metrics();
      return { status: 200, text, contentType };
    }
    default:
      return NOT_FOUND;
  }
}

function send(response: ServerResponse, { status, text, contentType }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType ?? 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}
