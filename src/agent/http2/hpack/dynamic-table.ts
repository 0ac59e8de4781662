/*
 * The dynamic table of one direction of a connection (RFC 7541 section 2.3.2), as a ring. It costs nothing until the first entry.
 */
import { LIMITS } from '../../../limits/agent-limits.ts';

/** Size of an entry beyond its name and value (RFC 7541 section 4.1). */
const ENTRY_OVERHEAD = 32;

/** Largest size that the peer may choose: the default of SETTINGS_HEADER_TABLE_SIZE. */
const TABLE_BYTES = LIMITS.headerTableBytes.value;
/** Places of the ring: a power of two, enough for entries without name and value. */
const PLACES = 2 ** Math.ceil(Math.log2(TABLE_BYTES / ENTRY_OVERHEAD));
const MASK = PLACES - 1;

const NOTHING: readonly string[] = Object.freeze([]);

function empty(): string[] {
  return Array.from({ length: PLACES }, () => '');
}

/** Entries of a dynamic table; the newest has index 0. */
export class DynamicTable {
  #names: string[] = NOTHING as string[];
  #values: string[] = NOTHING as string[];
  #head = 0;
  #count = 0;
  #size = 0;
  #max = TABLE_BYTES;

  get count(): number {
    return this.#count;
  }

  /** Name of an entry; `index` must be below `count`. */
  name(index: number): string {
    return this.#names[(this.#head - 1 - index) & MASK] as string;
  }

  /** Value of an entry; `index` must be below `count`. */
  value(index: number): string {
    return this.#values[(this.#head - 1 - index) & MASK] as string;
  }

  /** Adds an entry; one that is larger than the table empties it. */
  add(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#evict(this.#max - size);
    if (size > this.#max) return;
    if (this.#names === NOTHING) {
      this.#names = empty();
      this.#values = empty();
    }
    this.#names[this.#head & MASK] = name;
    this.#values[this.#head & MASK] = value;
    this.#head = (this.#head + 1) & MASK;
    this.#count += 1;
    this.#size += size;
  }

  /** Changes the largest size. @returns false: `bytes` is more than allowed */
  resize(bytes: number): boolean {
    if (bytes > TABLE_BYTES) return false;
    this.#max = bytes;
    this.#evict(bytes);
    return true;
  }

  #evict(target: number): void {
    while (this.#size > target && this.#count > 0) {
      const at = (this.#head - this.#count) & MASK;
      this.#size -= (this.#names[at] as string).length + (this.#values[at] as string).length + ENTRY_OVERHEAD;
      this.#names[at] = '';
      this.#values[at] = '';
      this.#count -= 1;
    }
  }
}
