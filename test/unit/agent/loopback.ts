/*
 * Raw clients, raw upstreams and a listener with a filter chain of the test, over loopback sockets. Nothing here parses HTTP with the code
 * under test.
 */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { NOT_READY } from '../../../src/agent/bundles/active-policy.ts';
import { type ActivePolicy, type AgentLimits, DEFAULT_LIMITS, type ExtAuthzClient } from '../../../src/agent/context.ts';
import { EvaluationQueue } from '../../../src/agent/exchange/evaluation-queue.ts';
import type { ExchangeRecord } from '../../../src/agent/exchange/exchange-record.ts';
import { ReevaluatedStreams } from '../../../src/agent/exchange/live-streams.ts';
import type { CloseReason } from '../../../src/agent/http1/server-host.ts';
import { Listener, type ListenerOptions } from '../../../src/agent/listener/listener.ts';
import type { TcpRecord } from '../../../src/agent/tcp/tcp-record.ts';
import type { TlsTermination } from '../../../src/agent/tls/tls-termination.ts';
import type { AppProtocol } from '../../../src/api/kube/agent-contract.ts';
import { type Clock, systemClock } from '../../../src/clock.ts';
import type { FilterChain } from '../../../src/filters/filter-chain.ts';
import type { FinalVerdictLog } from '../../../src/filters/verdict.ts';
import type { RawRequest } from '../../../src/http/heads.ts';
import { HttpDate } from '../../../src/http/http-date.ts';
import { textReply } from '../../../src/http/local-reply.ts';
import { httpChain } from '../filters/chains.ts';
import { copyOf } from './copy-record.ts';

export const logOf = (outcome: FinalVerdictLog['outcome'], path = '/', details = ''): FinalVerdictLog => ({
  outcome,
  details,
  host: 'a',
  path,
  principal: '',
});

/** Forwards everything unchanged, except paths that begin with `/no`, which are denied. */
export const stubFilterChain: FilterChain = httpChain((request) => {
  if (request.target.startsWith('/no')) {
    const log = logOf('deny', request.target, 'rbac_access_denied_matched_policy[none]');
    return { ...textReply(403, 'RBAC: access denied', log.details), log };
  }
  return { kind: 'forward', head: headOf(request), log: logOf('allow', request.target) };
});

/** The request as a filter chain without policies forwards it. */
export function headOf(request: RawRequest): { method: string; target: string; host: string; headers: string[]; upgrade: string } {
  const headers: string[] = [];
  let host = request.authority ?? '';
  let upgrade = '';
  for (let at = 0; at < request.headers.length; at += 2) {
    const name = (request.headers[at] ?? '').toLowerCase();
    const value = request.headers[at + 1] ?? '';
    if (name === 'host') host ||= value;
    else if (name === 'upgrade') upgrade = value;
    else if (name !== 'connection' && name !== 'transfer-encoding') headers.push(name, value);
  }
  if (request.requestId !== undefined && !headers.includes('x-request-id')) headers.push('x-request-id', request.requestId);
  return { method: request.method, target: request.target, host, headers, upgrade };
}

export interface Stage {
  readonly port: number;
  /** Where the application listens, or would. */
  readonly upstreamPort: number;
  readonly records: ExchangeRecord[];
  readonly tcpRecords: TcpRecord[];
  /** What each upstream connection received, in order of connecting. */
  readonly seen: string[];
  readonly connections: () => number;
  /** Why connections were closed, in order. */
  readonly closed: readonly CloseReason[];
  readonly listener: Listener;
  /** Present if streams are evaluated again. */
  readonly liveStreams: ReevaluatedStreams | undefined;
  /** Replaces the active policy; undefined: none is active. */
  activate(filterChain: FilterChain | undefined): void;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly filterChain?: FilterChain | undefined;
  readonly acceptHttp10?: boolean;
  readonly notReady?: boolean;
  readonly limits?: Partial<AgentLimits>;
  readonly extAuthz?: ExtAuthzClient | undefined;
  /** Evaluate streams again; the clock is that of the agent. */
  readonly reevaluate?: boolean;
  readonly clock?: Clock;
  /** Serves one upstream connection; default: answers each head with 200 `ok`. */
  readonly upstream?: (socket: Socket, nth: number) => void;
  /** Where connections lead; default: to the upstream, which policies see as 10.1.2.3:8080. */
  readonly destination?: (upstreamPort: number) => ListenerOptions['destination'];
  /** No upstream listens. */
  readonly noUpstream?: boolean;
  /** Port of an application that listens already. */
  readonly application?: number;
  /** Absent: that of the client. */
  readonly appProtocol?: AppProtocol;
  /** Absent: TLS is not terminated. */
  readonly tls?: TlsTermination | undefined;
}

/** Connections lead to the upstream, which policies see as 10.1.2.3:5432, a port of `protocol`. */
export function databaseOf(protocol: 'tcp' | 'detect'): NonNullable<StageOptions['destination']> {
  return (upstreamPort) => ({
    upstreamHost: '127.0.0.1',
    upstreamPort,
    destinationIp: '10.1.2.3',
    destinationPort: 5432,
    protocol: () => protocol,
  });
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function answerEachHead(socket: Socket): void {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
      text = text.slice(end + 4);
      socket.write(OK);
    }
  });
}

/** A listener in front of a raw upstream. */
export async function stage(options: StageOptions = {}): Promise<Stage> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const upstream = createServer({ allowHalfOpen: true }, (socket) => {
    const nth = seen.push('') - 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      seen[nth] += chunk.toString('latin1');
    });
    socket.on('end', () => socket.end());
    (options.upstream ?? answerEachHead)(socket, nth);
  });
  const ownPort = await listen(upstream);
  const upstreamPort = options.application ?? ownPort;
  if (options.noUpstream === true || options.application !== undefined) upstream.close();
  const records: ExchangeRecord[] = [];
  const tcpRecords: TcpRecord[] = [];
  let connections = 0;
  const closed: CloseReason[] = [];
  const observer = {
    onExchange: (record: ExchangeRecord) => void records.push(copyOf(record)),
    onConnectionOpened: () => {
      connections += 1;
    },
    onConnectionClosed: (reason: CloseReason) => {
      connections -= 1;
      closed.push(reason);
    },
    onConnectionRefused: () => {},
  };
  let policy: ActivePolicy | undefined =
    options.notReady === true ? undefined : { filterChain: options.filterChain ?? stubFilterChain, digest: 'sha256:d' };
  let activations = 0;
  const clock = options.clock ?? systemClock;
  const evaluations = new EvaluationQueue(clock);
  const liveStreams =
    options.reevaluate === true ? new ReevaluatedStreams({ clock, evaluations, activePolicy: () => policy, max: 1000 }) : undefined;
  const listener = new Listener(
    {
      listenHost: '127.0.0.1',
      listenPort: 0,
      destination: options.destination?.(upstreamPort) ?? {
        upstreamHost: '127.0.0.1',
        upstreamPort,
        destinationIp: '10.1.2.3',
        destinationPort: 8080,
      },
    },
    {
      activePolicy: () => policy,
      replyWithoutPolicy: () => NOT_READY,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      acceptHttp10: options.acceptHttp10 ?? false,
      appProtocolOf: () => options.appProtocol ?? 'client',
      clock,
      date: new HttpDate({ ...systemClock, wallMs: () => 0 }),
      observer,
      connections: observer,
      tcpObserver: { onTcpConnection: (record) => tcpRecords.push(record) },
      extAuthz: options.extAuthz,
      evaluations,
      liveStreams,
      newRequestId: () => 'generated-id',
      ...(options.tls !== undefined && { tls: options.tls }),
    },
  );
  const port = await listener.start();
  return {
    port,
    upstreamPort,
    records,
    tcpRecords,
    seen,
    connections: () => connections,
    closed,
    listener,
    liveStreams,
    activate(filterChain) {
      activations += 1;
      policy = filterChain === undefined ? undefined : { filterChain, digest: `sha256:${activations}` };
      liveStreams?.onPolicyChange();
    },
    async stop() {
      await listener.stop(0);
      for (const socket of sockets) socket.destroy();
      if (upstream.listening) upstream.close();
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A client that sends bytes as they are and keeps what comes back. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  closed = false;
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.#wake?.();
    });
    this.socket.on('error', () => {});
    const done = () => {
      this.closed = true;
      this.#wake?.();
    };
    this.socket.on('end', done);
    this.socket.on('close', done);
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until what came satisfies `enough`, or the connection ends. */
  async until(enough: (text: string) => boolean): Promise<string> {
    while (!enough(this.text) && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  async untilClosed(): Promise<string> {
    const text = await this.until(() => false);
    this.socket.destroy();
    return text;
  }
}

/** Everything the server answers to `bytes` until it closes or `enough`. */
export async function talk(port: number, bytes: string, enough: (text: string) => boolean = () => false): Promise<string> {
  const client = new RawClient(port).send(bytes);
  const text = await client.until(enough);
  client.socket.destroy();
  return text;
}

/** Waits in real time until the condition holds; the timeout of the test limits it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1);
}
