/*
 * Accepts the connections of one captured port and hands them to the proxy. In: a listen address, the application port it
 * stands for and its address. Out: client connections with their facts. The agent makes one per port.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { ProxyContext } from '../context.ts';
import { ClientConnection, type ConnectionHost } from '../http1/client-connection.ts';
import { listenOn, plainAddress } from '../net/addresses.ts';
import { UpstreamPool } from '../upstream/upstream-pool.ts';

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

/** Most unused upstream connections kept per port. */
const MAX_IDLE_UPSTREAM = 256;
const STOP_POLL_MS = 20;

export class Listener implements ConnectionHost {
  readonly context: ProxyContext;
  readonly pool: UpstreamPool;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections = new Set<ClientConnection>();

  constructor(options: ListenerOptions, context: ProxyContext) {
    this.context = context;
    this.#options = options;
    this.pool = new UpstreamPool({
      host: options.upstreamHost,
      port: options.upstreamPort,
      clock: context.clock,
      connectTimeoutMs: context.limits.connectTimeoutMs,
      idleTimeoutMs: context.limits.upstreamIdleTimeoutMs,
      maxIdle: MAX_IDLE_UPSTREAM,
    });
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
      (socket) => this.#accept(socket),
    );
  }

  /** Listens. @returns the port @throws the system's error when the address is taken */
  start(): Promise<number> {
    return listenOn(this.#server, this.#options.listenHost, this.#options.listenPort);
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#connections) if (connection.deadlineMs !== 0 && connection.deadlineMs <= nowMs) connection.expire();
    this.pool.sweep(nowMs);
  }

  /** Accepts no more, lets exchanges end for at most `drainMs`, then cuts the rest. */
  async stop(drainMs: number): Promise<void> {
    this.#server.close();
    const endMs = this.context.clock.nowMs() + drainMs;
    for (const connection of this.#connections) connection.finish();
    while (this.#connections.size > 0 && this.context.clock.nowMs() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    }
    for (const connection of this.#connections) connection.destroy();
    this.pool.destroy();
  }

  onClientGone(connection: ClientConnection): void {
    if (this.#connections.delete(connection)) this.context.observer.onConnections(-1);
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.context.limits.maxConnections) {
      this.context.observer.onConnectionRefused();
      socket.resetAndDestroy();
      return;
    }
    const facts = this.#facts(socket);
    this.#connections.add(new ClientConnection(socket, facts, this));
    this.context.observer.onConnections(1);
  }

  #facts(socket: Socket): ConnectionFacts {
    return {
      sourceIp: plainAddress(socket.remoteAddress ?? ''),
      destinationIp: this.#options.destinationIp ?? plainAddress(socket.localAddress ?? ''),
      destinationPort: this.#options.destinationPort,
      sni: '',
      tls: false,
    };
  }
}
