/*
 * A set of rows, from which rows are taken away until those are left that a request may match. In: rows that were hit, of one axis
 * after the other. Out: the rows left, in ascending order. Used by the row filter.
 */
import type { Hits, Posting } from './posting.ts';
import { addRows, type RowSet, type RowSets } from './row-sets.ts';

/** Sets that one pass looks at. */
type FourSets = [RowSet, RowSet, RowSet, RowSet];
const AT_ONCE = 4;

/** Holds one set of rows at a time, and the scratch memory to work on it. */
export class Sieve {
  readonly #bytes: number;
  readonly #kernels: RowSets['kernels'];
  readonly #memory: Int32Array;
  readonly #none: RowSet;
  /** Rows left, if they were written here and not only read from a set. */
  readonly #own: RowSet;
  /** Rows left. */
  #rows: RowSet;
  #isEmpty = false;
  /** Rows that are told one by one; empty between two steps. */
  readonly #single: RowSet;
  /** A copy of what is held elsewhere. */
  readonly #copy: RowSet;
  readonly #union: RowSet;
  /** Sets that a step is about, and their number. */
  readonly #sets: FourSets;
  #setCount = 0;
  /** Are any of the rows of the step told one by one? */
  #hasSingle = false;
  /** Numbers of rows. */
  readonly #listed: Int32Array;

  /** Seals `sets`. @param most how many rows are ever listed */
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

  /** Is nothing left? `false`: something may be. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Begins with what was hit and what is `free`; `undefined` is nothing. */
  begin(hits: Hits | undefined, free: RowSet | undefined): void {
    this.#gather(hits, free, true);
    const [only] = this.#sets;
    this.#isEmpty = false;
    this.#rows = this.#setCount === 1 && only !== this.#single && only !== this.#union ? only : this.#uniteInto(this.#own);
    this.#setCount = 0;
    this.#forget(hits);
  }

  /** Keeps the rows that were hit or are `free`. */
  keep(hits: Hits, free: RowSet | undefined): void {
    this.#gather(hits, free, true);
    this.#pass(0);
    this.#forget(hits);
  }

  /** Takes away the rows that were hit. */
  drop(hits: Hits): void {
    if (hits.count === 0) return;
    this.#gather(hits, undefined, false);
    this.#pass(-1);
    this.#forget(hits);
  }

  /** All rows that were hit, for as long as is wanted. */
  unite(hits: Hits): Int32Array {
    this.#gather(hits, undefined, true);
    const start = this.#uniteInto(this.#union) >> 2;
    this.#setCount = 0;
    this.#forget(hits);
    return this.#memory.slice(start, start + (this.#bytes >> 2));
  }

  /** Lists the rows left, for {@link listed}. Gives their number; -1: there are too many. */
  list(): number {
    return this.#kernels.list(this.#rows, this.#bytes, this.#listed.byteOffset, this.#listed.length);
  }

  /** The row at an index of the list. */
  listed(index: number): number {
    return this.#listed[index] as number;
  }

  /** The first row left that is accepted; -1: there is none. */
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

  /** Makes at most four sets of what was hit and what is `free`. If there are more, the first are united, or dropped if none is kept. */
  #gather(hits: Hits | undefined, free: RowSet | undefined, keeps: boolean): void {
    this.#setCount = 0;
    this.#hasSingle = false;
    if (free !== undefined) this.#addSet(free, keeps);
    if (hits === undefined) return;
    const { postings, count } = hits;
    for (let i = 0; i < count; i++) {
      let link = postings[i] as Posting | undefined;
      for (; link !== undefined && link.set === undefined && link.kept === undefined; link = link.parent) {
        addRows(this.#memory, this.#single, link.ids);
        this.#hasSingle = true;
      }
      if (link === undefined) continue;
      if (link.set !== undefined) this.#addSet(link.set, keeps);
      else this.#addCopy(link.kept as Int32Array, keeps);
    }
    if (this.#hasSingle) this.#addSet(this.#single, keeps);
  }

  #addSet(set: RowSet, keeps: boolean): void {
    if (this.#setCount === AT_ONCE) this.#makeRoom(keeps);
    this.#sets[this.#setCount++] = set;
  }

  /** There is room for one copy at a time. */
  #addCopy(rows: Int32Array, keeps: boolean): void {
    this.#memory.set(rows, this.#copy >> 2);
    this.#addSet(this.#copy, keeps);
    this.#makeRoom(keeps);
  }

  #makeRoom(keeps: boolean): void {
    if (keeps) {
      this.#sets[0] = this.#uniteInto(this.#union);
      this.#setCount = 1;
    } else this.#pass(-1);
  }

  /** Keeps what is in one of the sets or, if `flip` is -1, what is in none. */
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

  /** Empties the set of rows that were told one by one. */
  #forget(hits: Hits | undefined): void {
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
