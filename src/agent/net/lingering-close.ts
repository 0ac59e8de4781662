/*
 * Bounds what is read and discarded of a client whose connection closes: a reset would destroy the reply on its way to a client that
 * is still sending.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

/** Milliseconds that a client has to close its side when nothing is left to send. */
export const LINGER_MS: number = LIMITS.lingerTime.value;

const MAX_BYTES = LIMITS.discardedBytes.value;
const MAX_MS = LIMITS.discardTime.value;

/** Counts what one closing connection discards. */
export class LingeringClose {
  #bytes = 0;
  #endMs = 0;

  /** @returns false: the client has sent enough, or for long enough */
  discard(bytes: number, nowMs: number): boolean {
    if (this.#endMs === 0) this.#endMs = nowMs + MAX_MS;
    this.#bytes += bytes;
    return this.#bytes <= MAX_BYTES && nowMs < this.#endMs;
  }
}
