/*
 * Notices a client that opens streams in order to reset them ("rapid reset"): the work that a request causes is done by then.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

const RESETS = LIMITS.earlyResets;
/** Number of ended streams at which both counts are halved. */
const MEMORY = RESETS.value * 4;

/** Counts the streams of one client. */
export class ResetRate {
  #ended = 0;
  #early = 0;

  /** A stream has ended. */
  ended(): void {
    this.#ended += 1;
    if (this.#ended < MEMORY) return;
    this.#ended /= 2;
    this.#early /= 2;
  }

  /** The client has reset a stream before its response was complete. @returns false: more than half of many streams ended like that */
  resetEarly(): boolean {
    this.#early += 1;
    if (this.#early <= RESETS.value || this.#early * 2 <= this.#ended) return true;
    RESETS.hit();
    return false;
  }
}
