/*
 * Decides how long a closing client connection may stay: as long as the client keeps taking what is left of its reply.
 * In: bytes left at each look. Out: stay or go. Used by the client connection.
 */

/** Time between two looks, and what a client has when nothing is left: a reset would eat the reply on its way. */
export const LINGER_MS = 1000;

export class Linger {
  #left = -1;
  #sinceMs = 0;

  /** Has the client taken anything within `patienceMs`? @param left bytes not yet taken */
  stays(left: number, nowMs: number, patienceMs: number): boolean {
    if (left === 0) return false;
    if (left !== this.#left) {
      this.#left = left;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs < patienceMs;
  }
}
