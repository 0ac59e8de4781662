/*
 * Sets of rows as bits, in memory of their own where 128 rows are worked on at a time. In: rows. Out: sets, told by address; their
 * unions, intersections and differences; the rows of a set. Used by whoever builds or searches the row filter. The work itself is
 * in row-kernels.wat; docs/adr/0013 says why.
 */
import { ROW_KERNELS } from './row-kernels.ts';

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** What is used of the standard's JavaScript interface. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { readonly initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: { readonly host: { readonly memory: Memory } }) => { readonly exports: unknown };
};

/** The address of a set. */
export type RowSet = number;

/** Exports of row-kernels.wat. Each but `list` takes four sets at once; one that is not needed is an empty one. */
interface Kernels {
  /** `into` = the rows of any of four sets. */
  unite(into: RowSet, first: RowSet, second: RowSet, third: RowSet, fourth: RowSet, bytes: number): void;
  /** `into` = `rows` that are in any of four sets or, if `flip` is -1, in none. Gives 0 when none is left. */
  pass(into: RowSet, rows: RowSet, first: RowSet, second: RowSet, third: RowSet, fourth: RowSet, flip: 0 | -1, bytes: number): number;
  /** Writes the numbers of the rows, ascending. Gives how many they are; -1: more than `most`. */
  list(rows: RowSet, bytes: number, into: number, most: number): number;
}

const PAGE_BYTES = 65_536;
const ROWS_AT_ONCE = 128;

let module: object | undefined;

function kernelsOn(memory: Memory): Kernels {
  module ??= new WebAssembly.Module(Uint8Array.from(atob(ROW_KERNELS), (character) => character.charCodeAt(0)));
  return new WebAssembly.Instance(module, { host: { memory } }).exports as Kernels;
}

/** All sets of one filter. They live as long as it does. */
export class RowSets {
  readonly rowCount: number;
  readonly kernels: Kernels;
  /** Length of a set, in bytes and in 32-bit words. */
  readonly bytes: number;
  readonly words: number;
  readonly #memory: Memory;
  #view: Int32Array;
  #end = 0;
  #isSealed = false;

  constructor(rowCount: number) {
    this.rowCount = rowCount;
    // The kernels look at 128 rows before they ask whether there are more.
    this.bytes = Math.max(1, Math.ceil(rowCount / ROWS_AT_ONCE)) * (ROWS_AT_ONCE / 8);
    this.words = this.bytes / 4;
    this.#memory = new WebAssembly.Memory({ initial: 1 });
    this.#view = new Int32Array(this.#memory.buffer);
    this.kernels = kernelsOn(this.#memory);
  }

  /** A new set without rows. @throws Error when sealed */
  create(): RowSet {
    return this.#reserve(this.bytes);
  }

  /** A new set with all rows. */
  createFull(): RowSet {
    const set = this.create();
    const start = set >> 2;
    const whole = this.rowCount >> 5;
    this.#view.fill(-1, start, start + whole);
    if (this.rowCount % 32 !== 0) this.#view[start + whole] = 2 ** (this.rowCount % 32) - 1;
    return set;
  }

  /** Memory for so many numbers of 32 bits, and its address; {@link seal} gives access to it. @throws Error when sealed */
  createList(length: number): number {
    return this.#reserve(Math.ceil(length / 4) * 16);
  }

  /** Adds rows to a set. */
  add(set: RowSet, rows: readonly number[]): void {
    addRows(this.#view, set, rows);
  }

  /** Adds the rows of another set. */
  addSet(set: RowSet, other: RowSet): void {
    this.kernels.unite(set, set, other, other, other, this.bytes);
  }

  /** Takes rows from a set. */
  remove(set: RowSet, rows: readonly number[]): void {
    const view = this.#view;
    const start = set >> 2;
    for (const row of rows) view[start + (row >>> 5)] = (view[start + (row >>> 5)] as number) & ~(1 << (row & 31));
  }

  /** Ends the making of sets, which moves memory. Gives all of it, which stays where it is from now on. */
  seal(): Int32Array {
    this.#isSealed = true;
    return this.#view;
  }

  #reserve(bytes: number): number {
    if (this.#isSealed) throw new Error('no sets are made after the memory was given away');
    const address = this.#end;
    this.#end += bytes;
    const lacking = this.#end - this.#view.byteLength;
    if (lacking > 0) {
      // Twice as much each time, so that building stays linear where growing copies.
      this.#memory.grow(Math.max(Math.ceil(lacking / PAGE_BYTES), this.#view.byteLength / PAGE_BYTES));
      this.#view = new Int32Array(this.#memory.buffer);
    }
    return address;
  }
}

/** Adds rows to a set in memory that was given away by {@link RowSets.seal}. */
export function addRows(memory: Int32Array, set: RowSet, rows: readonly number[]): void {
  const start = set >> 2;
  for (const row of rows) {
    const at = start + (row >>> 5);
    memory[at] = (memory[at] as number) | (1 << (row & 31));
  }
}
