/*
 * Decides how long a closing client connection stays open: as long as the client keeps reading the rest of its reply.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

/** Milliseconds between two checks, and what a client gets when nothing is left to send: a reset would destroy the reply on its way. */
export const LINGER_MS: number = LIMITS.lingerTime.value;

/** Watches one closing connection. */
export class LingeringClose {
  #left = -1;
  #sinceMs = 0;

  /** Has the client read anything within `patienceMs`? @param left bytes that it has not read */
  isDue(left: number, nowMs: number, patienceMs: number): boolean {
    if (left === 0) return true;
    if (left !== this.#left) {
      this.#left = left;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs >= patienceMs;
  }
}
