/*
 * One port of the application, as the destination of client connections: what its codecs need, and its connections to the application.
 */
import type { AppProtocol } from '../../api/kube/agent-contract.ts';
import type { Clock } from '../../clock.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ServerStream, ServerStreamHandler, Upstream } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { ActivePolicy, AgentLimits, ExtAuthzClient, LiveStreams } from '../context.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { ExchangeContext } from '../exchange/exchange-context.ts';
import { Http1ClientConnection } from '../http1/client-connection.ts';
import type { ConnectionHost } from '../http1/server-connection.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { Http2ClientConnection } from '../http2/client-connection.ts';
import type { Http2ServerHost } from '../http2/server-host.ts';
import { TcpConnection } from '../tcp/tcp-connection.ts';
import type { TcpObserver } from '../tcp/tcp-record.ts';
import type { TcpUpstream } from '../tcp/tcp-upstream.ts';
import type { TlsTermination } from '../tls/tls-termination.ts';
import { SharedUpstreamPool } from '../upstream/http2-pool.ts';
import { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { UndecidedConnection, UndecidedOwner } from './undecided-connection.ts';

/** Addresses of a destination. */
export interface DestinationAddress {
  /** Host of the application. */
  readonly upstreamHost: string;
  readonly upstreamPort: number;
  /** What policies see as destination address; undefined: the address that the client connected to. */
  readonly destinationIp: string | undefined;
  /** What policies see as destination port. */
  readonly destinationPort: number;
  /** What the port speaks: read for each connection. Absent: HTTP. */
  readonly protocol?: () => PortProtocol;
}

/** What a port speaks; `detect`: the first bytes of each connection say so. */
export type PortProtocol = 'http' | 'tcp' | 'detect';

/** What the destinations of a listener share. */
export interface DestinationContext extends ExchangeContext {
  readonly limits: AgentLimits;
  readonly acceptHttp10: boolean;
  readonly date: HttpDate;
  /** What the application speaks on a port. */
  readonly appProtocolOf: (port: number) => AppProtocol;
  readonly tcpObserver: TcpObserver;
  /** Absent: the agent does not terminate TLS. */
  readonly tls?: TlsTermination;
}

/** A client connection of any protocol. */
export interface ServerConnection {
  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void;
  /** The agent stops: no more than what is at hand. */
  finish(): void;
  /** The time to finish is over: ends what can be ended in good order. */
  shutDown(): void;
  destroy(reason: CloseReason): void;
}

/** A connection that reads plain text until its client begins TLS. */
export interface PlainConnection extends ServerConnection {
  /** Something else takes the socket over; nothing of the client was delivered yet. @returns false: too late, the client got bytes */
  release(): boolean;
}

/** Takes care of the connections of a destination. */
export interface DestinationOwner {
  /** `connection` turned out to be HTTP. */
  onHttp(connection: UndecidedConnection, destination: Destination): void;
  /** `connection` goes on as `next`, which has taken its sockets over. */
  onChanged(connection: ServerConnection, next: ServerConnection): void;
  onConnectionClosed(connection: ServerConnection, reason: CloseReason, destination: Destination): void;
}

/** A destination; its connections are those of its listener. */
export class Destination implements ConnectionHost, UndecidedOwner {
  readonly address: DestinationAddress;
  readonly timeouts: AgentLimits;
  readonly clock: Clock;
  readonly date: HttpDate;
  readonly acceptHttp10: boolean;
  readonly keepsFraming: boolean;
  /** What the HTTP/2 codec needs. */
  readonly http2: Http2ServerHost;
  readonly application: { readonly host: string; readonly port: number };
  readonly tcpObserver: TcpObserver;
  readonly liveStreams: LiveStreams | undefined;
  readonly extAuthz: ExtAuthzClient | undefined;
  /** Open connections of clients. */
  clients = 0;
  readonly #context: DestinationContext;
  readonly #owner: DestinationOwner;
  readonly #protocol: AppProtocol;
  readonly #http1: UpstreamPool;
  readonly #http2: SharedUpstreamPool<Http2ClientConnection>;

  constructor(address: DestinationAddress, context: DestinationContext, owner: DestinationOwner) {
    const { limits, clock } = context;
    const application = { host: address.upstreamHost, port: address.upstreamPort };
    this.address = address;
    this.application = application;
    this.tcpObserver = context.tcpObserver;
    this.liveStreams = context.liveStreams;
    this.extAuthz = context.extAuthz;
    this.timeouts = limits;
    this.clock = clock;
    this.date = context.date;
    this.acceptHttp10 = context.acceptHttp10;
    this.#context = context;
    this.#owner = owner;
    this.#protocol = context.appProtocolOf(address.destinationPort);
    this.keepsFraming = this.#protocol !== 'http2';
    const pool = {
      clock,
      connectTimeoutMs: limits.connectTimeoutMs,
      idleTimeoutMs: limits.upstreamIdleTimeoutMs,
      maxConnections: limits.maxConnections + LIMITS.idleUpstreamConnections.value,
    };
    this.#http1 = new UpstreamPool({
      ...pool,
      connect: (poolOwner) => new Http1ClientConnection(application, poolOwner),
      maxIdle: Math.min(LIMITS.idleUpstreamConnections.value, limits.maxConnections),
    });
    this.#http2 = new SharedUpstreamPool({ ...pool, connect: (poolOwner) => new Http2ClientConnection(application, poolOwner) });
    this.http2 = {
      timeouts: limits,
      clock,
      date: context.date,
      createHandler: (stream) => this.#createHandler(stream, this.#protocol === 'http1' ? this.#http1 : this.#http2),
      onConnectionClosed: (connection, reason) => owner.onConnectionClosed(connection, reason, this),
    };
  }

  /** No client and no connection to the application is left. */
  get isUnused(): boolean {
    return this.clients === 0 && this.#http1.size === 0 && this.#http2.size === 0;
  }

  createHandler(stream: ServerStream): ServerStreamHandler {
    return this.#createHandler(stream, this.#protocol === 'http2' ? this.#http2 : this.#http1);
  }

  #createHandler(stream: ServerStream, upstream: Upstream): ServerStreamHandler {
    return new Exchange(stream, upstream, this.#context);
  }

  onConnectionClosed(connection: ServerConnection, reason: CloseReason): void {
    this.#owner.onConnectionClosed(connection, reason, this);
  }

  activePolicy(): ActivePolicy | undefined {
    return this.#context.activePolicy();
  }

  replyWithoutPolicy(): LocalReply {
    return this.#context.replyWithoutPolicy();
  }

  onHttp(connection: UndecidedConnection): void {
    this.#owner.onHttp(connection, this);
  }

  onTcp(connection: UndecidedConnection, upstream: TcpUpstream | undefined): TcpConnection {
    const next = new TcpConnection(connection.client, connection.facts, this, upstream);
    this.#owner.onChanged(connection, next);
    return next;
  }

  onUndecidedClosed(connection: UndecidedConnection, reason: CloseReason): void {
    this.#owner.onConnectionClosed(connection, reason, this);
  }

  /** Closes connections to the application that have passed their deadline. */
  sweep(nowMs: number): void {
    this.#http1.sweep(nowMs);
    this.#http2.sweep(nowMs);
  }

  /** Drops every connection to the application. */
  destroy(): void {
    this.#http1.destroy();
    this.#http2.destroy();
  }
}
