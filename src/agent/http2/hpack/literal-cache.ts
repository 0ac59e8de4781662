/*
 * Strings of header fields by their encoded bytes. A client that does not index a token sends it, Huffman-coded, with every request: what it
 * repeats is decoded and checked once. The cache is one of the process; its slots are overwritten, so that no client can fill it.
 */
import { LIMITS } from '../../../limits/agent-limits.ts';
import { BoundedMap } from '../../../limits/containers.ts';

const SLOTS = LIMITS.cachedLiterals.value;
const CACHED_BYTES = LIMITS.cachedLiteralBytes.value;

class Slot {
  /** Hash of the last bytes that were not found: bytes are kept when they are seen for the second time in a row. */
  missed = 0;
  bytes: Buffer | undefined;
  text = '';
}

/** A direct-mapped cache. */
export class LiteralCache {
  #isCoded = false;
  readonly #slots = new BoundedMap<number, Slot>(LIMITS.cachedLiterals);
  #hash = 0;

  /** The string of the encoded bytes `buffer[start, end)`; undefined: not cached. A miss is to be followed by {@link offer}. */
  find(buffer: Buffer, start: number, end: number, isCoded: boolean): string | undefined {
    const length = end - start;
    if (length > CACHED_BYTES) return undefined;
    const hash = hashOf(buffer, start, end, isCoded);
    this.#hash = hash;
    this.#isCoded = isCoded;
    const slot = this.#slots.get(hash & (SLOTS - 1));
    if (slot?.bytes === undefined || slot.bytes.length !== length + 1 || slot.bytes[length] !== (isCoded ? 1 : 0)) return undefined;
    return slot.bytes.compare(buffer, start, end, 0, length) === 0 ? slot.text : undefined;
  }

  /** Keeps `text` for bytes that `find` did not find just now, if they were not found before either. */
  offer(buffer: Buffer, start: number, end: number, text: string): void {
    const length = end - start;
    if (length > CACHED_BYTES) return;
    const hash = this.#hash;
    let slot = this.#slots.get(hash & (SLOTS - 1));
    if (slot === undefined) {
      slot = new Slot();
      this.#slots.set(hash & (SLOTS - 1), slot);
    }
    if (slot.missed !== hash) {
      slot.missed = hash;
      return;
    }
    const bytes = Buffer.allocUnsafeSlow(length + 1);
    buffer.copy(bytes, 0, start, end);
    bytes[length] = this.#isCoded ? 1 : 0;
    slot.bytes = bytes;
    slot.text = text;
  }
}

/** Reads at most 32 of the bytes: equality is checked anyway. */
function hashOf(buffer: Buffer, start: number, end: number, isCoded: boolean): number {
  let hash = Math.imul(end - start + (isCoded ? 0x10000 : 0), 0x9e3779b1);
  const step = Math.max(1, (end - start) >> 4);
  for (let at = start; at < end; at += step) hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193);
  // The end of a token is its signature.
  for (let at = Math.max(start, end - 16); at < end; at += 1) hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) | 1;
}
