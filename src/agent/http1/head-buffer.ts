/*
 * Collects the bytes of a message head that may arrive in pieces. The read buffer that they arrive in is reused after each call.
 */

const END = Buffer.from('\r\n\r\n', 'latin1');
/** Heads are almost always shorter than this: only the first bytes of a read are decoded at first. */
const FIRST_LOOK_BYTES = 4096;

/** Keeps the beginning of at most one head. */
export class HeadBuffer {
  /** After `take` returned a head: index in the given buffer of the first byte behind it. */
  next = 0;
  /** The head is longer than allowed. */
  overflow = false;
  #kept: Buffer | undefined;
  #length = 0;
  #shown = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of an unfinished head that are kept. */
  get length(): number {
    return this.#length;
  }

  /** The bytes that arrived since the last call, and the byte before them, as a latin1 string. */
  fresh(): string {
    const from = Math.max(0, this.#shown - 1);
    this.#shown = this.#length;
    return this.#kept === undefined ? '' : this.#kept.toString('latin1', from, this.#length);
  }

  /** The head through its empty line, as a latin1 string; `''` while it is unfinished (its bytes are kept) or when it overflows. */
  take(buffer: Buffer, start: number, end: number): string {
    if (this.#length > 0) return this.#takeMore(buffer, start, end);
    const firstLook = Math.min(end, start + FIRST_LOOK_BYTES);
    const text = buffer.toString('latin1', start, firstLook);
    const found = text.indexOf('\r\n\r\n');
    if (found !== -1) {
      this.next = start + found + 4;
      return text.slice(0, found + 4);
    }
    return this.#takeMore(buffer, start, end);
  }

  /** Forgets the bytes that are kept. */
  clear(): void {
    this.#kept = undefined;
    this.#length = 0;
    this.#shown = 0;
    this.overflow = false;
  }

  #takeMore(buffer: Buffer, start: number, end: number): string {
    const before = this.#length;
    const copied = Math.min(end - start, this.#maxBytes - before);
    const kept = this.#grow(before + copied);
    buffer.copy(kept, before, start, start + copied);
    this.#length = before + copied;
    const found = kept.subarray(0, this.#length).indexOf(END, Math.max(0, before - 3));
    if (found === -1) {
      this.overflow = this.#length >= this.#maxBytes;
      return '';
    }
    this.next = start + (found + 4 - before);
    const text = kept.toString('latin1', 0, found + 4);
    this.clear();
    return text;
  }

  #grow(wanted: number): Buffer {
    const old = this.#kept;
    if (old !== undefined && old.length >= wanted) return old;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxBytes, Math.max(wanted, (old?.length ?? 512) * 2)));
    old?.copy(larger, 0, 0, this.#length);
    this.#kept = larger;
    return larger;
  }
}
