/*
 * Bytes of one stream that wait: for the application to take them, or for the peer's flow-control window.
 */
import type { ByteBudget } from '../../limits/containers.ts';

const NOTHING = Buffer.alloc(0);
const FIRST_BYTES = 2048;

/** A queue of bytes within a budget that streams share. */
export class HeldBytes {
  readonly budget: ByteBudget;
  #buffer: Buffer = NOTHING;
  #start = 0;
  #end = 0;

  constructor(budget: ByteBudget) {
    this.budget = budget;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** The bytes in order; valid until the next call. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Adds a copy of `buffer[start, end)`. @returns false: the budget does not allow it, and nothing was added */
  append(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (this.#end + length > this.#buffer.length && !this.#makeRoom(length)) return false;
    buffer.copy(this.#buffer, this.#end, start, end);
    this.#end += length;
    return true;
  }

  /** Removes the first `count` bytes. */
  drop(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.clear();
  }

  /** Removes everything. @returns what was held, which now belongs to the caller */
  take(): Buffer {
    const { bytes } = this;
    this.clear();
    return bytes;
  }

  /** Forgets everything. */
  clear(): void {
    this.budget.release(this.#buffer.length);
    this.#buffer = NOTHING;
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(more: number): boolean {
    const { length } = this;
    const old = this.#buffer;
    const needed = length + more;
    // The front is reused when it is at least as long as what is kept.
    const size = needed * 2 <= old.length ? old.length : Math.max(FIRST_BYTES, needed, length * 2);
    if (size > old.length && !this.budget.reserve(size - old.length)) return false;
    if (size < old.length) this.budget.release(old.length - size);
    const target = size === old.length ? old : Buffer.allocUnsafeSlow(size);
    old.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = length;
    return true;
  }
}
