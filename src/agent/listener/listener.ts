/*
 * Accepts the connections of one captured port; wires the HTTP/1.1 codec, the exchange and the upstream together.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import type { HttpDate } from '../../http/http-date.ts';
import type { ServerStream, ServerStreamHandler } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import { pause } from '../../limits/timers.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { AgentLimits } from '../context.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { ExchangeContext } from '../exchange/exchange-context.ts';
import { Http1ClientConnection } from '../http1/client-connection.ts';
import { type ConnectionHost, Http1ServerConnection } from '../http1/server-connection.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { listenOn, plainAddress } from '../net/addresses.ts';
import { UpstreamPool } from '../upstream/upstream-pool.ts';

/** Receives the number of client connections. */
export interface ConnectionObserver {
  onConnectionOpened(): void;
  onConnectionClosed(reason: CloseReason): void;
  /** A connection was refused because there are too many. */
  onConnectionRefused(): void;
}

/** Shared by all listeners of an agent. */
export interface ListenerContext extends ExchangeContext {
  readonly limits: AgentLimits;
  readonly acceptHttp10: boolean;
  readonly date: HttpDate;
  readonly connections: ConnectionObserver;
}

/** Addresses of one captured port. */
export interface ListenerOptions {
  /** Undefined: every address. */
  readonly listenHost: string | undefined;
  /** 0: any free port. */
  readonly listenPort: number;
  readonly upstreamHost: string;
  readonly upstreamPort: number;
  /** What policies see as destination address; undefined: the address that the client connected to. */
  readonly destinationIp: string | undefined;
  /** What policies see as destination port. */
  readonly destinationPort: number;
}

/** One captured port. */
export class Listener implements ConnectionHost {
  readonly timeouts: AgentLimits;
  readonly clock: Clock;
  readonly date: HttpDate;
  readonly acceptHttp10: boolean;
  readonly #context: ListenerContext;
  readonly #upstream: UpstreamPool;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections: BoundedSet<Http1ServerConnection>;
  #stopping = false;

  constructor(options: ListenerOptions, context: ListenerContext) {
    const { limits, clock } = context;
    const application = { host: options.upstreamHost, port: options.upstreamPort };
    this.#connections = new BoundedSet(LIMITS.clientConnections, limits.maxConnections);
    this.timeouts = limits;
    this.clock = clock;
    this.date = context.date;
    this.acceptHttp10 = context.acceptHttp10;
    this.#context = context;
    this.#options = options;
    this.#upstream = new UpstreamPool({
      connect: (owner) => new Http1ClientConnection(application, owner),
      clock,
      connectTimeoutMs: limits.connectTimeoutMs,
      idleTimeoutMs: limits.upstreamIdleTimeoutMs,
      maxIdle: Math.min(LIMITS.idleUpstreamConnections.value, limits.maxConnections),
      maxConnections: limits.maxConnections + LIMITS.idleUpstreamConnections.value,
    });
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: LIMITS.keepAliveProbes.value },
      (socket) => this.#accept(socket),
    );
  }

  /** Starts listening. @returns the port @throws the system's error when the address is in use */
  start(): Promise<number> {
    return listenOn(this.#server, this.#options.listenHost, this.#options.listenPort);
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#connections) connection.sweep(nowMs);
    this.#upstream.sweep(nowMs);
  }

  /**
   * Closes each connection after its next response, for at most `drainMs` or until none is left; then ends the rest. Connections are
   * accepted meanwhile: clients learn some moments later that the agent stops.
   */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    for (const connection of this.#connections) connection.finish();
    await this.#untilClosed(drainMs);
    this.#server.close();
    for (const connection of this.#connections) connection.shutDown();
    await this.#untilClosed(drainMs === 0 ? 0 : LIMITS.drainCloseTime.value);
    for (const connection of this.#connections) connection.destroy('shutdown');
    this.#upstream.destroy();
  }

  createHandler(stream: ServerStream): ServerStreamHandler {
    return new Exchange(stream, this.#upstream, this.#context);
  }

  onConnectionClosed(connection: Http1ServerConnection, reason: CloseReason): void {
    if (this.#connections.delete(connection)) this.#context.connections.onConnectionClosed(reason);
  }

  async #untilClosed(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    while (this.#connections.size > 0 && this.clock.nowMs() < endMs) await pause(LIMITS.drainPoll);
  }

  #accept(socket: Socket): void {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) {
      // The client has reset the connection already. What it sent could still be read, but no policy would see its address.
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.timeouts.maxConnections) {
      LIMITS.clientConnections.hit();
      this.#context.connections.onConnectionRefused();
      socket.resetAndDestroy();
      return;
    }
    const connection = new Http1ServerConnection(socket, this.#facts(socket, remoteAddress), this);
    if (this.#stopping) connection.finish();
    this.#connections.add(connection);
    this.#context.connections.onConnectionOpened();
  }

  #facts(socket: Socket, remoteAddress: string): ConnectionFacts {
    return {
      sourceIp: plainAddress(remoteAddress),
      destinationIp: this.#options.destinationIp ?? plainAddress(socket.localAddress ?? ''),
      destinationPort: this.#options.destinationPort,
      sni: '',
      tls: false,
    };
  }
}
