/*
 * Collects the first payload bytes of a request body while the bytes as they arrived are kept for the upstream.
 */
import { type BodyLength, type BodyPrefix, RAW_CHUNKS } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteParts } from '../../limits/containers.ts';
import { ChunkReader, type ChunkState } from './chunk-reader.ts';

/** `more`: neither whole nor enough; `enough`: the prefix is complete; `bad`: the body is malformed. */
export type PrefixState = 'more' | 'enough' | 'bad';

const NO_BYTES = Buffer.alloc(0);

/** Reads the prefix of one body. */
export class BodyPrefixReader {
  readonly #wanted: number;
  readonly #chunks: ChunkReader | undefined;
  readonly #parts: ByteParts;
  /** Bytes of a body of known length that have not arrived. */
  #remaining: number;
  #whole = false;
  /** Payload was left out. */
  #cut = false;

  constructor(length: BodyLength, wanted: number) {
    this.#wanted = wanted;
    this.#parts = new ByteParts(LIMITS.checkedBodyBytes, wanted);
    this.#remaining = length;
    this.#chunks = length === RAW_CHUNKS ? new ChunkReader(false, (buffer, start, end) => this.#collect(buffer, start, end)) : undefined;
  }

  /** Reads what arrived next; `bytes` is copied as far as needed. Bytes behind the body are ignored. */
  read(bytes: Buffer): PrefixState {
    if (this.#whole) return 'enough';
    if (this.#chunks !== undefined) {
      const state = readChunks(this.#chunks, bytes);
      if (state === 'bad') return state;
      this.#whole = state === 'done';
    } else {
      const end = Math.min(bytes.length, this.#remaining);
      this.#collect(bytes, 0, end);
      this.#remaining -= end;
      this.#whole = this.#remaining === 0;
    }
    return this.#whole || this.#parts.bytes === this.#wanted ? 'enough' : 'more';
  }

  /** What was collected. */
  prefix(): BodyPrefix {
    return { bytes: this.#parts.take() ?? NO_BYTES, whole: this.#whole && !this.#cut };
  }

  #collect(buffer: Uint8Array, start: number, end: number): void {
    const stop = Math.min(end, start + this.#wanted - this.#parts.bytes);
    if (stop < end) this.#cut = true;
    if (stop <= start) return;
    this.#parts.push(Buffer.from(buffer.subarray(start, stop)));
  }
}

function readChunks(chunks: ChunkReader, bytes: Buffer): ChunkState {
  let state: ChunkState = 'more';
  for (let at = 0; at < bytes.length && state === 'more'; at = chunks.consumedEnd) state = chunks.read(bytes, at, bytes.length);
  return state;
}
