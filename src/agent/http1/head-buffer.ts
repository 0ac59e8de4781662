/*
 * Collects the bytes of a message head that may arrive in pieces. The read buffer that they arrive in is reused after each call.
 */

const END = Buffer.from('\r\n\r\n', 'latin1');
/** How a head may end whose lines end with LF alone. */
const LF_END = /\n\r?\n/;
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
  readonly #lenient: boolean;

  /** @param lenient a head may also end with LF LF or LF CR LF; the text that `take` returns then may hold bytes behind its end */
  constructor(maxBytes: number, lenient = false) {
    this.#maxBytes = maxBytes;
    this.#lenient = lenient;
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
    if (this.#lenient && LF_END.test(text)) {
      this.next = firstLook;
      return text;
    }
    return this.#takeMore(buffer, start, end);
  }

  /** The first bytes that are kept, at most `count`, as a latin1 string. */
  peek(count: number): string {
    return this.#kept === undefined ? '' : this.#kept.toString('latin1', 0, Math.min(count, this.#length));
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
    const found = this.#findEnd(kept, Math.max(0, before - 3));
    if (found === -1) {
      this.overflow = this.#length >= this.#maxBytes;
      return '';
    }
    this.next = start + (found - before);
    const text = kept.toString('latin1', 0, found);
    this.clear();
    return text;
  }

  /** Index behind an empty line; where `lenient`, the first one may be before. */
  #findEnd(kept: Buffer, from: number): number {
    const found = kept.subarray(0, this.#length).indexOf(END, from);
    if (found !== -1) return found + END.length;
    return this.#lenient && LF_END.test(kept.toString('latin1', from, this.#length)) ? this.#length : -1;
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
