/*
 * Collects the first bytes of a request body for an external authorizer, while the bytes as they came are held back for the
 * upstream. In: the body's framing, how much is wanted, the client's bytes. Out: the payload. Used by the client connection.
 */

import type { CheckVerdict } from '../../filters/verdict.ts';
import type { CheckBody } from '../context.ts';
import { ChunkReader } from '../http1/chunk-reader.ts';
import { type BodyFraming, CHUNKED } from '../http1/framing.ts';

/** Most bytes of the body that the authorizer of `check` needs seen: its limit, and one more where a longer body is refused. 0: none. */
export function previewBytes({ provider }: CheckVerdict): number {
  const limits = provider.includeRequestBodyInCheck;
  return limits === undefined ? 0 : limits.maxRequestBytes + (limits.allowPartialMessage ? 0 : 1);
}

/** `more`: neither whole nor enough; `enough`: the authorizer can be asked; `bad`: the body is malformed. */
export type PreviewState = 'more' | 'enough' | 'bad';

export class BodyPreview {
  readonly #wanted: number;
  readonly #chunks: ChunkReader | undefined;
  readonly #parts: Buffer[] = [];
  #collected = 0;
  /** Bytes of a body of known length that have not come. */
  #remaining: number;
  #whole = false;
  /** Payload was left out. */
  #cut = false;

  constructor(framing: BodyFraming, wanted: number) {
    this.#wanted = wanted;
    this.#remaining = framing;
    this.#chunks = framing === CHUNKED ? new ChunkReader((buffer, start, end) => this.#collect(buffer, start, end)) : undefined;
  }

  /** Looks at what else came of the body; `bytes` is copied as far as needed. Bytes behind the body are ignored. */
  read(bytes: Buffer): PreviewState {
    if (this.#whole) return 'enough';
    if (this.#chunks !== undefined) {
      const state = this.#chunks.read(bytes, 0, bytes.length);
      if (state === 'bad') return state;
      this.#whole = state === 'done';
    } else {
      const end = Math.min(bytes.length, this.#remaining);
      this.#collect(bytes, 0, end);
      this.#remaining -= end;
      this.#whole = this.#remaining === 0;
    }
    return this.#whole || this.#collected === this.#wanted ? 'enough' : 'more';
  }

  /** What was collected. */
  body(): CheckBody {
    return { bytes: Buffer.concat(this.#parts), whole: this.#whole && !this.#cut };
  }

  #collect(buffer: Uint8Array, start: number, end: number): void {
    const stop = Math.min(end, start + this.#wanted - this.#collected);
    if (stop < end) this.#cut = true;
    if (stop <= start) return;
    this.#parts.push(Buffer.from(buffer.subarray(start, stop)));
    this.#collected += stop - start;
  }
}
