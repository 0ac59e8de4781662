/*
 * Intersects bitmaps of rows, one axis after the other, until only the rows are left that a request may match.
 */
import type { Hits, Posting } from '../terms/posting.ts';
import { addRows, type RowSet, type RowSets } from './row-sets.ts';

/** Bitmaps that one kernel call reads. */
type FourSets = [RowSet, RowSet, RowSet, RowSet];
const AT_ONCE = 4;

/** Holds one bitmap of remaining rows at a time, and the scratch memory to work on it. */
export class BitmapIntersection {
  readonly #bytes: number;
  readonly #kernels: RowSets['kernels'];
  readonly #memory: Int32Array;
  readonly #none: RowSet;
  /** Where the remaining rows are written, unless they are exactly an existing bitmap. */
  readonly #own: RowSet;
  /** The remaining rows. */
  #rows: RowSet;
  #isEmpty = false;
  /** Rows of postings without a bitmap; empty between two steps. */
  readonly #single: RowSet;
  /** A copy of a stored posting's bitmap. */
  readonly #copy: RowSet;
  readonly #union: RowSet;
  /** The bitmaps of the current step, and their number. */
  readonly #sets: FourSets;
  #setCount = 0;
  /** Does the current step use `#single`? */
  #hasSingle = false;
  /** Row numbers that {@link list} wrote. */
  readonly #listed: Int32Array;

  /** Seals `sets`. @param most largest number of rows that {@link list} returns */
  constructor(sets: RowSets, most: number) {
    this.#bytes = sets.bytes;
    this.#kernels = sets.kernels;
    this.#none = sets.create();
    this.#own = sets.create();
    this.#rows = this.#none;
    this.#single = sets.create();
    this.#copy = sets.create();
    this.#union = sets.create();
    this.#sets = [this.#none, this.#none, this.#none, this.#none];
    const list = sets.createList(most) >> 2;
    this.#memory = sets.seal();
    this.#listed = this.#memory.subarray(list, list + most);
  }

  /** Is no row left? `false`: there may be some. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Starts with the rows that were hit and those of `free`; `undefined` adds no rows. */
  begin(hits: Hits | undefined, free: RowSet | undefined): void {
    this.#gather(hits, free, true);
    const [only] = this.#sets;
    this.#isEmpty = false;
    this.#rows = this.#setCount === 1 && only !== this.#single && only !== this.#union ? only : this.#uniteInto(this.#own);
    this.#setCount = 0;
    this.#clearSingle(hits);
  }

  /** Keeps only rows that were hit or are in `free`. */
  intersect(hits: Hits, free: RowSet | undefined): void {
    this.#gather(hits, free, true);
    this.#pass(0);
    this.#clearSingle(hits);
  }

  /** Removes the rows that were hit. */
  subtract(hits: Hits): void {
    if (hits.count === 0) return;
    this.#gather(hits, undefined, false);
    this.#pass(-1);
    this.#clearSingle(hits);
  }

  /** The union of all rows that were hit, as a new array of words. Leaves the remaining rows unchanged. */
  unionOf(hits: Hits): Int32Array {
    this.#gather(hits, undefined, true);
    const start = this.#uniteInto(this.#union) >> 2;
    this.#setCount = 0;
    this.#clearSingle(hits);
    return this.#memory.slice(start, start + (this.#bytes >> 2));
  }

  /** Lists the remaining rows for {@link listed}. Returns their number; -1: there are too many. */
  list(): number {
    return this.#kernels.list(this.#rows, this.#bytes, this.#listed.byteOffset, this.#listed.length);
  }

  /** The row at `index` of the list. */
  listed(index: number): number {
    return this.#listed[index] as number;
  }

  /** The first remaining row that `accepts` returns true for; -1: none. */
  find(accepts: (row: number) => boolean): number {
    const start = this.#rows >> 2;
    const count = this.#bytes >> 2;
    for (let word = 0; word < count; word++) {
      for (let bits = this.#memory[start + word] as number; bits !== 0; bits &= bits - 1) {
        const row = word * 32 + 31 - Math.clz32(bits & -bits);
        if (accepts(row)) return row;
      }
    }
    return -1;
  }

  /**
   * Collects at most four bitmaps of what was hit and of `free`.
   * @param keeps if there are more than four: true unites the first ones, false subtracts them from the remaining rows
   */
  #gather(hits: Hits | undefined, free: RowSet | undefined, keeps: boolean): void {
    this.#setCount = 0;
    this.#hasSingle = false;
    if (free !== undefined) this.#addSet(free, keeps);
    if (hits === undefined) return;
    const { postings, count } = hits;
    for (let i = 0; i < count; i++) {
      let link = postings[i] as Posting | undefined;
      for (; link !== undefined && link.set === undefined && link.stored === undefined; link = link.parent) {
        addRows(this.#memory, this.#single, link.ids);
        this.#hasSingle = true;
      }
      if (link === undefined) continue;
      if (link.set !== undefined) this.#addSet(link.set, keeps);
      else this.#addStored(link.stored as Int32Array, keeps);
    }
    if (this.#hasSingle) this.#addSet(this.#single, keeps);
  }

  #addSet(set: RowSet, keeps: boolean): void {
    if (this.#setCount === AT_ONCE) this.#reduce(keeps);
    this.#sets[this.#setCount++] = set;
  }

  /** There is memory for one copy at a time, so the collected bitmaps are reduced immediately. */
  #addStored(rows: Int32Array, keeps: boolean): void {
    this.#memory.set(rows, this.#copy >> 2);
    this.#addSet(this.#copy, keeps);
    this.#reduce(keeps);
  }

  #reduce(keeps: boolean): void {
    if (keeps) {
      this.#sets[0] = this.#uniteInto(this.#union);
      this.#setCount = 1;
    } else this.#pass(-1);
  }

  /** Keeps rows that are in one of the collected bitmaps or, if `flip` is -1, in none. */
  #pass(flip: 0 | -1): void {
    this.#fill();
    const [first, second, third, fourth] = this.#sets;
    this.#isEmpty = this.#kernels.pass(this.#own, this.#rows, first, second, third, fourth, flip, this.#bytes) === 0;
    this.#rows = this.#own;
    this.#setCount = 0;
  }

  #uniteInto(into: RowSet): RowSet {
    this.#fill();
    const [first, second, third, fourth] = this.#sets;
    this.#kernels.unite(into, first, second, third, fourth, this.#bytes);
    return into;
  }

  #fill(): void {
    for (let i = this.#setCount; i < AT_ONCE; i++) this.#sets[i] = this.#none;
  }

  #clearSingle(hits: Hits | undefined): void {
    if (hits === undefined || !this.#hasSingle) return;
    const { postings, count } = hits;
    const memory = this.#memory;
    const start = this.#single >> 2;
    for (let i = 0; i < count; i++) {
      for (let link = postings[i]; link !== undefined && link.set === undefined; link = link.parent) {
        for (const id of link.ids) memory[start + (id >>> 5)] = 0;
      }
    }
  }
}
