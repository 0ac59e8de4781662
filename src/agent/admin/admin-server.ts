/*
 * The admin port: /healthz, /readyz, /metrics, and the probes and lifecycle hooks of the application. Serves short texts without policies, tokens or claims.
 * Built on the HTTP/1.1 codec, because a server of node:http would cost 18 MB of resident memory.
 */

import { createServer } from 'node:net';
import { APP_HEALTH_PREFIX } from '../../api/kube/agent-contract.ts';
import type { Clock } from '../../clock.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { METRICS_CONTENT_TYPE } from '../../telemetry/metric-text.ts';
import { HEAD_TOO_LARGE } from '../http1/codec-replies.ts';
import { HeadBuffer } from '../http1/head-buffer.ts';
import { type Http1Request, parseRequestHead } from '../http1/request-head.ts';
import { writeReply } from '../http1/write-response.ts';
import { listenOn } from '../net/listen-on.ts';
import { type AdminConnection, AdminConnections } from './admin-connections.ts';
import { NO_RESPONSE, type ProbeResult } from './app-probe.ts';
import { readinessWaitMs } from './readiness.ts';

/** Settings of the admin port, and what it shows. */
export interface AdminOptions {
  /** Undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
  readonly logger: Logger;
  /** Why the agent will never be ready; undefined: nothing prevents it. */
  readonly problem: string | undefined;
  /** Why there is no TLS certificate yet; undefined: there is one, or none is needed. */
  readonly notReady: () => string | undefined;
  /** Whether a policy is active within `waitMs` milliseconds; resolves as soon as it is. */
  readonly isReady: (waitMs: number) => Promise<boolean>;
  /** All metrics in Prometheus text format. */
  readonly metrics: () => string;
  /** Runs a probe or hook by its name, see `AppProbes`; undefined: no probe and no hook has that name. */
  readonly probe: (name: string) => Promise<ProbeResult> | undefined;
  readonly clock: Clock;
  readonly maxConnections: number;
  /** Value of the Date header. */
  readonly date: () => string;
}

/** A running admin port. */
export interface AdminServer {
  readonly port: number;
  /** Closes connections that have passed their deadline. @param nowMs monotonic milliseconds */
  sweep(nowMs: number): void;
  stop(): void;
}

/** A reply as it is written. */
type AdminReply = Pick<LocalReply, 'status' | 'body' | 'headers'>;

const text = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): AdminReply => ({
  status,
  body,
  headers: ['content-type', contentType, 'cache-control', 'no-store', 'x-content-type-options', 'nosniff'],
});
const NOT_FOUND = text(404, 'not found\n');

/** Serves the admin port, one request per connection. @throws the system's error when the address is in use */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const connections = new AdminConnections(options.clock, options.maxConnections);
  const server = createServer((socket) => {
    const connection = connections.add(socket);
    if (connection === undefined) return;
    socket.on('close', () => connections.remove(connection));
    serve(connection, connections, options);
  });
  const port = await listenOn(server, options.host, options.port);
  return {
    port,
    sweep: (nowMs) => connections.sweep(nowMs),
    stop: () => {
      server.close();
      connections.destroy();
    },
  };
}

function serve(connection: AdminConnection, connections: AdminConnections, options: AdminOptions): void {
  const { socket } = connection;
  const heads = new HeadBuffer(LIMITS.adminHeadBytes.value);
  let isAnswered = false;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    if (isAnswered) return;
    const head = heads.take(chunk, 0, chunk.length);
    if (head === '' && !heads.overflow) return;
    isAnswered = true;
    if (heads.overflow) LIMITS.adminHeadBytes.hit();
    connections.onRequest(connection);
    const request = head === '' ? HEAD_TOO_LARGE : parseRequestHead(head);
    void respond(request, options).then((reply) => {
      if (reply.status === NO_RESPONSE) {
        socket.destroy();
        return;
      }
      const isHead = request.kind === 'request' && request.method === 'HEAD';
      socket.end(writeReply(reply, { isHead, close: true, date: options.date() }), 'latin1');
      connections.onResponse(connection);
    });
  });
}

async function respond(request: Http1Request | LocalReply, options: AdminOptions): Promise<AdminReply> {
  if (request.kind === 'reply') return text(request.status, `${request.body}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET\n');
  try {
    return await respondTo(request.target, options);
  } catch (error) {
    options.logger.error({ err: error }, 'admin request failed');
    return text(500, 'internal error\n');
  }
}

async function respondTo(target: string, options: AdminOptions): Promise<AdminReply> {
  const path = target.split('?', 1)[0] ?? '';
  if (path.startsWith(APP_HEALTH_PREFIX)) {
    const result = await options.probe(path.slice(APP_HEALTH_PREFIX.length));
    return result === undefined ? NOT_FOUND : text(result.status, result.text);
  }
  switch (path) {
    case '/healthz':
      return text(200, 'ok\n');
    case '/readyz':
    case '/readyz/bundle':
      if (options.problem !== undefined) return text(503, `[-]capture failed: ${options.problem}\nnot ready\n`);
      return await readiness(target, options);
    case '/metrics':
      return text(200, options.metrics(), METRICS_CONTENT_TYPE);
    default:
      return NOT_FOUND;
  }
}

async function readiness(target: string, { isReady, notReady }: AdminOptions): Promise<AdminReply> {
  const hasPolicy = await isReady(readinessWaitMs(target));
  const problem = notReady();
  if (hasPolicy && problem === undefined) return text(200, '[+]bundle ok\nok\n');
  const bundle = hasPolicy ? '[+]bundle ok\n' : '[-]bundle failed: no policy bundle in force yet\n';
  return text(503, `${bundle}${problem === undefined ? '' : `[-]tls failed: ${problem}\n`}not ready\n`);
}
