/*
 * How the streams that were closed last came to their end, so that their late frames are no faults of the peer.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

/** How a stream that is not open any longer came to its end. */
export type Ending = 'reset' | 'over';

/** Marks the id of a stream that was reset. */
const RESET = 0x8000_0000;
const REMEMBERED = LIMITS.rememberedStreams.value;

/** A ring of stream ids; it is read only when a frame of a closed stream arrives. */
export class RecentStreams {
  /** The id, with the highest bit set for `reset`. */
  #ids: Uint32Array | undefined;
  #next = 0;

  /** Remembers a stream instead of the oldest one. */
  add(streamId: number, ending: Ending): void {
    const ids = (this.#ids ??= new Uint32Array(REMEMBERED));
    ids[this.#next] = ending === 'reset' ? streamId + RESET : streamId;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /** Undefined: the stream is not remembered. */
  endingOf(streamId: number): Ending | undefined {
    if (this.#ids?.includes(streamId + RESET) === true) return 'reset';
    return this.#ids?.includes(streamId) === true ? 'over' : undefined;
  }
}
