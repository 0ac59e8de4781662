/*
 * Collects the first payload bytes of a request body while the bytes as they arrived are kept for the upstream.
 */
import { type BodyLength, type BodyPrefix, RAW_CHUNKS } from '../../http/stream.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteCollector } from '../../limits/containers.ts';
import { ChunkReader, type ChunkState } from './chunk-reader.ts';

/** `more`: neither whole nor enough; `enough`: the prefix is complete; `bad`: the body is malformed. */
export type PrefixState = 'more' | 'enough' | 'bad';

/** Reads the prefix of one body. */
export class BodyPrefixReader {
  readonly #wanted: number;
  readonly #chunks: ChunkReader | undefined;
  readonly #payload: ByteCollector;
  /** Bytes of a body of known length that have not arrived. */
  #remaining: number;
  #whole = false;
  /** Payload was left out. */
  #cut = false;

  constructor(length: BodyLength, wanted: number) {
    this.#wanted = wanted;
    this.#payload = new ByteCollector(LIMITS.checkedBodyBytes, wanted);
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
    return this.#whole || this.#payload.length === this.#wanted ? 'enough' : 'more';
  }

  /** What was collected. */
  prefix(): BodyPrefix {
    return { bytes: this.#payload.take(), whole: this.#whole && !this.#cut };
  }

  #collect(buffer: Buffer, start: number, end: number): void {
    if (!this.#payload.append(buffer, start, end)) this.#cut = true;
  }
}

function readChunks(chunks: ChunkReader, bytes: Buffer): ChunkState {
  let state: ChunkState = 'more';
  for (let at = 0; at < bytes.length && state === 'more'; at = chunks.consumedEnd) state = chunks.read(bytes, at, bytes.length);
  return state;
}
