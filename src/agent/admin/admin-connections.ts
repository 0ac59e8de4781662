/*
 * The connections of the admin port. A new one is never refused because others are idle: beyond the limit the oldest connection
 * that has its response, or has sent no request, is closed, so that probes of the kubelet always get through.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';

const HEAD_MS = LIMITS.adminHeadTime.value;
const RESPONSE_MS = LIMITS.adminResponseTime.value;

/** One connection; serves one request. */
export interface AdminConnection {
  readonly socket: Socket;
  /** Monotonic milliseconds after which it is closed; 0: never. */
  deadlineMs: number;
}

/** All open connections, by what they wait for. */
export class AdminConnections {
  readonly #clock: Clock;
  readonly #max: number;
  /** Have not sent their request. */
  readonly #waiting = new BoundedSet<AdminConnection>(LIMITS.adminConnections);
  /** Their request is being answered. */
  readonly #answering = new BoundedSet<AdminConnection>(LIMITS.adminConnections);
  /** Have their response, or will when they read it. */
  readonly #closing = new BoundedSet<AdminConnection>(LIMITS.adminConnections);

  /** @param max number of open connections */
  constructor(clock: Clock, max: number = LIMITS.adminConnections.value) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#waiting.size + this.#answering.size + this.#closing.size;
  }

  /** Registers a new connection, for which another may be closed. Undefined: all others are being answered; it has been closed. */
  add(socket: Socket): AdminConnection | undefined {
    if (this.size >= this.#max) {
      LIMITS.adminConnections.hit();
      const oldest = this.#closing.oldest ?? this.#waiting.oldest;
      (oldest?.socket ?? socket).destroy();
      if (oldest === undefined) return undefined;
      this.remove(oldest);
    }
    const connection = { socket, deadlineMs: this.#clock.nowMs() + HEAD_MS };
    this.#waiting.add(connection);
    return connection;
  }

  /** The request has arrived; what answers it has its own deadline. */
  onRequest(connection: AdminConnection): void {
    if (!this.#waiting.delete(connection)) return;
    connection.deadlineMs = 0;
    this.#answering.add(connection);
  }

  /** The response is written; the client has some time to read it. */
  onResponse(connection: AdminConnection): void {
    if (!this.#answering.delete(connection)) return;
    connection.deadlineMs = this.#clock.nowMs() + RESPONSE_MS;
    this.#closing.add(connection);
  }

  /** Forgets a connection that is closed. */
  remove(connection: AdminConnection): void {
    this.#waiting.delete(connection);
    this.#answering.delete(connection);
    this.#closing.delete(connection);
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#waiting) if (connection.deadlineMs <= nowMs) this.#expire(connection, LIMITS.adminHeadTime);
    for (const connection of this.#closing) if (connection.deadlineMs <= nowMs) this.#expire(connection, LIMITS.adminResponseTime);
  }

  /** Closes all connections. */
  destroy(): void {
    for (const set of [this.#waiting, this.#answering, this.#closing]) for (const { socket } of set) socket.destroy();
  }

  #expire(connection: AdminConnection, limit: typeof LIMITS.adminHeadTime): void {
    limit.hit();
    connection.socket.destroy();
    this.remove(connection);
  }
}
