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

/** How a pool connects, and how long it keeps connections. */
export interface UpstreamPoolOptions {
  /** Starts to connect. */
  readonly connect: (owner: ClientConnectionOwner<ClientConnection>) => ClientConnection;
  readonly clock: Clock;
  /** Longest time to establish a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection is kept when the application does not say, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Most unused connections kept. */
  readonly maxIdle: number;
}

/** Owned by a listener. */
export class UpstreamPool implements Upstream, ClientConnectionOwner<ClientConnection> {
  readonly #options: UpstreamPoolOptions;
  readonly #all = new Set<ClientConnection>();
  readonly #idle: ClientConnection[] = [];

  constructor(options: UpstreamPoolOptions) {
    this.#options = options;
  }

  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, fresh: boolean): ClientStream {
    const connection = (fresh ? undefined : this.#popIdle()) ?? this.#connect();
    connection.start(head, request, handler);
    return connection;
  }

  release(connection: ClientConnection): void {
    if (!connection.reusable || this.#idle.length >= this.#options.maxIdle) {
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
    this.#idle.push(connection);
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
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
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
    connection.deadlineMs = this.#options.clock.nowMs() + this.#options.connectTimeoutMs;
    this.#all.add(connection);
    return connection;
  }
}
