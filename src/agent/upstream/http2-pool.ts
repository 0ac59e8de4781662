/*
 * Connections that serve many exchanges at a time, to one application port. The connection that was made last is taken first, so that
 * those that are not needed any longer become idle and are closed.
 */
import type { Clock } from '../../clock.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { ClientStream, ClientStreamHandler, StreamRequest, Upstream } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';

/** A connection that serves many exchanges at a time. */
export interface SharedConnection {
  /** Monotonic milliseconds after which the pool calls `expire`; 0: none. */
  deadlineMs: number;
  /** Another exchange can be started. */
  readonly canOpen: boolean;
  /** Starts an exchange. @param reopen opens it again if the application has not processed it; undefined: that was done once already */
  open(
    head: ForwardHead,
    request: StreamRequest,
    handler: ClientStreamHandler,
    reopen: ((head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler) => ClientStream) | undefined,
  ): ClientStream;
  /** The deadline has passed. */
  expire(): void;
  /** Drops the connection and its exchanges. */
  destroy(): void;
  /** Called every few hundred milliseconds. */
  sweep(): void;
}

/** How a pool connects, and how long it keeps connections. */
export interface SharedPoolOptions<Connection extends SharedConnection> {
  /** Starts to connect. */
  readonly connect: (owner: SharedUpstreamPool<Connection>) => Connection;
  readonly clock: Clock;
  /** Longest time to establish a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection is kept, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Maximum number of connections. */
  readonly maxConnections: number;
}

/** Owned by a listener. */
export class SharedUpstreamPool<Connection extends SharedConnection> implements Upstream {
  readonly clock: Clock;
  knownStreams: number = LIMITS.unknownUpstreamStreams.value;
  readonly #options: SharedPoolOptions<Connection>;
  readonly #all: BoundedSet<Connection>;
  #current: Connection | undefined;

  constructor(options: SharedPoolOptions<Connection>) {
    this.clock = options.clock;
    this.#options = options;
    this.#all = new BoundedSet(LIMITS.upstreamConnections, options.maxConnections);
  }

  /** Number of connections. */
  get size(): number {
    return this.#all.size;
  }

  open(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler, fresh: boolean): ClientStream {
    return this.#take(fresh).open(head, request, handler, (again, sameRequest, sameHandler) =>
      this.#take(true).open(again, sameRequest, sameHandler, undefined),
    );
  }

  onConnecting(connection: Connection): void {
    connection.deadlineMs = this.clock.nowMs() + this.#options.connectTimeoutMs;
  }

  onConnectionIdle(connection: Connection): void {
    connection.deadlineMs = this.clock.nowMs() + this.#options.idleTimeoutMs;
  }

  onConnectionClosed(connection: Connection): void {
    this.#all.delete(connection);
    if (this.#current === connection) this.#current = undefined;
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#all) {
      connection.sweep();
      if (connection.deadlineMs !== 0 && connection.deadlineMs <= nowMs) connection.expire();
    }
  }

  /** Drops every connection. */
  destroy(): void {
    for (const connection of this.#all) connection.destroy();
  }

  #take(fresh: boolean): Connection {
    const current = this.#current;
    if (!fresh && current?.canOpen === true) return current;
    if (!fresh) {
      for (const connection of this.#all) {
        if (!connection.canOpen) continue;
        this.#current = connection;
        return connection;
      }
    }
    const connection = this.#options.connect(this);
    this.#current = connection;
    // The caller has no stream yet that could fail.
    if (!this.#all.add(connection)) queueMicrotask(() => connection.destroy());
    return connection;
  }
}
