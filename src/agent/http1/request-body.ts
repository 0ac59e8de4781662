/*
 * Passes one request body after the other to the upstream, by length or chunk by chunk. In: the client's bytes. Out: the
 * body's bytes on the upstream's writer, and where the body ends. Used by the client connection.
 */

import type { MessageWriter } from '../net/message-writer.ts';
import { ChunkReader, type ChunkState } from './chunk-reader.ts';
import { type BodyFraming, CHUNKED } from './framing.ts';

export class RequestBody {
  /** After `read`: index behind the last byte of the body. */
  next = 0;
  readonly #chunks = new ChunkReader();
  #framing: BodyFraming = 0;
  #remaining = 0;

  /** Expects a body of this framing next. */
  start(framing: BodyFraming): void {
    this.#framing = framing;
    this.#remaining = framing;
    if (framing === CHUNKED) this.#chunks.reset();
  }

  /** Passes what of `buffer[start, end)` belongs to the body to `out`; without `out` it is only read. */
  read(buffer: Buffer, start: number, end: number, out: MessageWriter | undefined): ChunkState {
    if (this.#framing === CHUNKED) return this.#readChunks(buffer, start, end, out);
    const stop = Math.min(end, start + this.#remaining);
    this.#remaining -= stop - start;
    this.next = stop;
    out?.bytes(buffer, start, stop);
    return this.#remaining === 0 ? 'done' : 'more';
  }

  #readChunks(buffer: Buffer, start: number, end: number, out: MessageWriter | undefined): ChunkState {
    const state = this.#chunks.read(buffer, start, end);
    this.next = this.#chunks.consumedEnd;
    if (state === 'bad') return state;
    out?.bytes(buffer, start, this.#chunks.forwardEnd);
    // The empty line behind the last chunk; trailers were left out.
    if (state === 'done') out?.text('\r\n');
    return state;
  }
}
