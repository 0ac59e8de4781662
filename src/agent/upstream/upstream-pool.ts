/*
 * Connections to one application port, the last used first, so that the others grow old and are closed. In: the
 * upstream's address. Out: a connection per exchange. Owned by a listener; swept by the agent's sweeper.
 */
import type { Clock } from '../../clock.ts';
import { type ResponseReceiver, UpstreamConnection, type UpstreamOwner } from '../http1/upstream-connection.ts';

export interface UpstreamPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  /** Longest time to wait for a connection, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** How long an unused connection is kept when the application does not say, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Most unused connections kept. */
  readonly maxIdle: number;
}

export class UpstreamPool implements UpstreamOwner {
  readonly #options: UpstreamPoolOptions;
  readonly #all = new Set<UpstreamConnection>();
  readonly #idle: UpstreamConnection[] = [];

  constructor(options: UpstreamPoolOptions) {
    this.#options = options;
  }

  /** A connection on which `receiver` may write its request. `fresh`: one that nobody has used. */
  acquire(receiver: ResponseReceiver, method: string, fresh = false): UpstreamConnection {
    const connection = (fresh ? undefined : this.#popIdle()) ?? this.#connect();
    connection.begin(receiver, method);
    return connection;
  }

  /** Takes a connection back after a whole response. */
  release(connection: UpstreamConnection): void {
    if (!connection.reusable || this.#idle.length >= this.#options.maxIdle) {
      connection.destroy();
      return;
    }
    const { keepAliveMs } = connection;
    // A second less than the application said: its clock starts earlier than ours.
    const patienceMs = keepAliveMs === -1 ? this.#options.idleTimeoutMs : Math.min(this.#options.idleTimeoutMs, keepAliveMs - 1000);
    if (patienceMs <= 0) {
      connection.destroy();
      return;
    }
    connection.deadlineMs = this.#options.clock.nowMs() + patienceMs;
    this.#idle.push(connection);
  }

  /** Closes what has waited too long. */
  sweep(nowMs: number): void {
    for (const connection of this.#all) if (connection.deadlineMs !== 0 && connection.deadlineMs <= nowMs) connection.expire();
  }

  /** Drops every connection. */
  destroy(): void {
    for (const connection of this.#all) connection.destroy();
  }

  onUpstreamGone(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  #popIdle(): UpstreamConnection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.reusable) return connection;
      connection.destroy();
    }
    return undefined;
  }

  #connect(): UpstreamConnection {
    const connection = new UpstreamConnection(this.#options, this);
    connection.deadlineMs = this.#options.clock.nowMs() + this.#options.connectTimeoutMs;
    this.#all.add(connection);
    return connection;
  }
}
