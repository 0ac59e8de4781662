/*
 * Connections to one application port. The most recently used one is taken first, so that the others grow old and are closed.
 */
import type { Clock } from '../../clock.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type {
  ClientConnection,
  ClientConnectionOwner,
  ClientStream,
  ClientStreamHandler,
  StreamRequest,
  Upstream,
} from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedList, BoundedSet } from '../../limits/containers.ts';

/** How a pool connects, and how long it keeps connections. */
export interface UpstreamPoolOptions {
  /** Starts to connect. */
  readonly connect: (owner: ClientConnectionOwner<ClientConnection>) => ClientConnection;
  readonly clock: Clock;
  /** Longest time to establish a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection is kept when the application does not say, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Maximum number of unused connections that are kept; absent: the default. */
  readonly maxIdle?: number;
  /** Maximum number of connections. */
  readonly maxConnections: number;
}

/** Owned by a listener. */
export class UpstreamPool implements Upstream, ClientConnectionOwner<ClientConnection> {
  readonly #options: UpstreamPoolOptions;
  readonly #all: BoundedSet<ClientConnection>;
  readonly #idle: BoundedList<ClientConnection>;

  constructor(options: UpstreamPoolOptions) {
    this.#options = options;
    this.#all = new BoundedSet(LIMITS.upstreamConnections, options.maxConnections);
    this.#idle = new BoundedList(LIMITS.idleUpstreamConnections, options.maxIdle);
  }

  /** Number of connections, used or not. */
  get size(): number {
    return this.#all.size;
  }

  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, fresh: boolean): ClientStream {
    const connection = (fresh ? undefined : this.#popIdle()) ?? this.#connect();
    connection.start(head, request, handler);
    return connection;
  }

  release(connection: ClientConnection): void {
    if (!connection.reusable) {
      connection.reset();
      return;
    }
    const { keepAliveMs } = connection;
    // A second less than the application said: its clock starts earlier than ours.
    const idleMs = keepAliveMs === -1 ? this.#options.idleTimeoutMs : Math.min(this.#options.idleTimeoutMs, keepAliveMs - 1000);
    if (idleMs <= 0) {
      connection.reset();
      return;
    }
    connection.deadlineMs = this.#options.clock.nowMs() + idleMs;
    if (!this.#idle.push(connection)) connection.reset();
  }

  onConnecting(connection: ClientConnection): void {
    connection.deadlineMs = this.#options.clock.nowMs() + this.#options.connectTimeoutMs;
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#all) if (connection.deadlineMs !== 0 && connection.deadlineMs <= nowMs) connection.expire();
  }

  /** Drops every connection. */
  destroy(): void {
    for (const connection of this.#all) connection.reset();
  }

  onConnectionClosed(connection: ClientConnection): void {
    this.#all.delete(connection);
    this.#idle.remove(connection);
  }

  #popIdle(): ClientConnection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.reusable) return connection;
      connection.reset();
    }
    return undefined;
  }

  #connect(): ClientConnection {
    const connection = this.#options.connect(this);
    this.onConnecting(connection);
    // The caller has no stream yet that could fail.
    if (!this.#all.add(connection)) queueMicrotask(() => connection.expire());
    return connection;
  }
}
