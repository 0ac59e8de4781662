/*
 * Bitmaps of rows in WebAssembly memory, processed 128 rows at a time. The operations are in row-kernels.wat; docs/adr/0013 says why.
 */
import type { IdSet, IdSets } from '../terms/posting.ts';
import { ROW_KERNELS } from './row-kernels.ts';

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The part of the standard JavaScript interface that is used here. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { readonly initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: { readonly host: { readonly memory: Memory } }) => { readonly exports: unknown };
};

/** The address of a bitmap of rows. */
export type RowSet = IdSet;

/** Exports of row-kernels.wat. `unite` and `pass` take four bitmaps at a time; pass an empty one where fewer are needed. */
interface Kernels {
  /** `into` = union of four bitmaps. */
  unite(into: RowSet, first: RowSet, second: RowSet, third: RowSet, fourth: RowSet, bytes: number): void;
  /** `into` = those of `rows` that are in any of four bitmaps or, if `flip` is -1, in none. Returns 0 if none is left. */
  pass(into: RowSet, rows: RowSet, first: RowSet, second: RowSet, third: RowSet, fourth: RowSet, flip: 0 | -1, bytes: number): number;
  /** Writes the row numbers in ascending order. Returns their count; -1: more than `most`. */
  list(rows: RowSet, bytes: number, into: number, most: number): number;
}

const PAGE_BYTES = 65_536;
const ROWS_AT_ONCE = 128;

let module: object | undefined;

function kernelsOn(memory: Memory): Kernels {
  module ??= new WebAssembly.Module(Uint8Array.from(atob(ROW_KERNELS), (character) => character.charCodeAt(0)));
  return new WebAssembly.Instance(module, { host: { memory } }).exports as Kernels;
}

/** All bitmaps of one bitmap index. They live as long as it does. */
export class RowSets implements IdSets {
  readonly rowCount: number;
  readonly kernels: Kernels;
  /** Length of a bitmap, in bytes and in 32-bit words. */
  readonly bytes: number;
  readonly words: number;
  readonly #memory: Memory;
  #view: Int32Array;
  #end = 0;
  #isSealed = false;

  constructor(rowCount: number) {
    this.rowCount = rowCount;
    // The kernels process 128 rows before they test whether there are more.
    this.bytes = Math.max(1, Math.ceil(rowCount / ROWS_AT_ONCE)) * (ROWS_AT_ONCE / 8);
    this.words = this.bytes / 4;
    this.#memory = new WebAssembly.Memory({ initial: 1 });
    this.#view = new Int32Array(this.#memory.buffer);
    this.kernels = kernelsOn(this.#memory);
  }

  /** A new empty bitmap. @throws Error when sealed */
  create(): RowSet {
    return this.#reserve(this.bytes);
  }

  /** A new bitmap of all rows. @throws Error when sealed */
  createFull(): RowSet {
    const set = this.create();
    const start = set >> 2;
    const whole = this.rowCount >> 5;
    this.#view.fill(-1, start, start + whole);
    if (this.rowCount % 32 !== 0) this.#view[start + whole] = 2 ** (this.rowCount % 32) - 1;
    return set;
  }

  /** The address of memory for `length` 32-bit numbers; {@link seal} gives access to it. @throws Error when sealed */
  createList(length: number): number {
    return this.#reserve(Math.ceil(length / 4) * 16);
  }

  /** Adds rows to a bitmap. */
  add(set: RowSet, rows: readonly number[]): void {
    addRows(this.#view, set, rows);
  }

  /** Adds all rows of another bitmap. */
  addSet(set: RowSet, other: RowSet): void {
    this.kernels.unite(set, set, other, other, other, this.bytes);
  }

  /** Removes rows from a bitmap. */
  remove(set: RowSet, rows: readonly number[]): void {
    const view = this.#view;
    const start = set >> 2;
    for (const row of rows) view[start + (row >>> 5)] = (view[start + (row >>> 5)] as number) & ~(1 << (row & 31));
  }

  /** Ends the creation of bitmaps, which may move the memory. Returns all of the memory, which no longer moves. */
  seal(): Int32Array {
    this.#isSealed = true;
    return this.#view;
  }

  #reserve(bytes: number): number {
    if (this.#isSealed) throw new Error('cannot create a row set: the sets are sealed');
    const address = this.#end;
    this.#end += bytes;
    const lacking = this.#end - this.#view.byteLength;
    if (lacking > 0) {
      // Growing copies the memory: doubling it keeps the cost of building linear.
      this.#memory.grow(Math.max(Math.ceil(lacking / PAGE_BYTES), this.#view.byteLength / PAGE_BYTES));
      this.#view = new Int32Array(this.#memory.buffer);
    }
    return address;
  }
}

/** Adds rows to a bitmap in the memory that {@link RowSets.seal} returned. */
export function addRows(memory: Int32Array, set: RowSet, rows: readonly number[]): void {
  const start = set >> 2;
  for (const row of rows) {
    const at = start + (row >>> 5);
    memory[at] = (memory[at] as number) | (1 << (row & 31));
  }
}
