/*
 * When a connection that could not be established is tried again: as Envoy does with Istio's policy for inbound routes, two retries
 * with a growing delay. Nothing of a request has been sent by then, so any request may wait for them.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { startTimer } from '../../limits/timers.ts';

const DELAYS = [LIMITS.firstConnectRetry, LIMITS.secondConnectRetry] as const;

/** The retries of one connection. */
export class ConnectRetries {
  readonly #connect: () => void;
  #failures = 0;
  #stop: (() => void) | undefined;

  /** @param connect tries again */
  constructor(connect: () => void) {
    this.#connect = connect;
  }

  /** Tries again after a delay. @returns false: it was the last try */
  schedule(): boolean {
    const delay = DELAYS[this.#failures];
    if (delay === undefined) return false;
    this.#failures += 1;
    this.#stop = startTimer(delay, () => {
      this.#stop = undefined;
      this.#connect();
    });
    return true;
  }

  /** @returns true: a try was still to come */
  cancel(): boolean {
    if (this.#stop === undefined) return false;
    this.#stop();
    this.#stop = undefined;
    return true;
  }
}
