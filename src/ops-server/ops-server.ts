/*
 * The controller's HTTP server for operators: health probes for the kubelet, metrics for Prometheus. Nothing here is secret.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../telemetry/logger.ts';
import { type Checks, healthRoute } from './health.ts';
import { limitConnections } from './limit-connections.ts';
import { createRouter, plainText, type Reply, type Route } from './router.ts';

const MAX_CONNECTIONS = 512;

/** Address, checks and metrics of the server. */
export interface OpsServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Checks that the process works at all; they never depend on the API server. */
  readonly live: Checks;
  /** Checks that the process may be relied on. */
  readonly ready: Checks;
  /** The metrics in Prometheus text format. */
  readonly metricsText: () => Promise<string>;
  readonly logger: Logger;
}

/** A running server. */
export interface OpsServer {
  readonly port: number;
  /** Closes the port and all connections. */
  readonly close: () => Promise<void>;
}

/** A server that listens already. @throws the system's error when the port is not available */
export async function startOpsServer(options: OpsServerOptions): Promise<OpsServer> {
  const route = createRouter(routesOf(options));
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 5_000 }, (request, response) => {
    route(request.method ?? '', request.url ?? '/').then(
      (reply) => send(response, reply),
      (error: unknown) => {
        options.logger.error({ err: error }, 'bug in the operations server');
        send(response, plainText(500, 'internal error\n'));
      },
    );
  });
  limitConnections(server, MAX_CONNECTIONS);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
}

function routesOf({ live, ready, metricsText }: OpsServerOptions): readonly Route[] {
  return [
    healthRoute('/healthz', live),
    healthRoute('/livez', live),
    healthRoute('/readyz', ready),
    {
      path: '/metrics',
      handle: async () => ({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await metricsText() }),
    },
  ];
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
