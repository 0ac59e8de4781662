/*
 * A set of rows as bits, from which rows are taken away until those are left that a request may match. In: rows that were hit, of
 * one axis after the other. Out: the rows left, in ascending order. A pass takes up to four sets at once, and goes over all words, or
 * over the few that had rows at the beginning. Used by the row filter.
 */
import { addPosting, type Hits, type Posting, setBits } from './posting.ts';

/** Sets that one pass looks at. */
const AT_ONCE = 4;
type FourSets = [Int32Array, Int32Array, Int32Array, Int32Array];
const ALL = -1;

/** Up to this part of all words a pass over a list of them is the faster one. */
const FEW_WORDS = 0.25;

/** Holds one set of rows at a time, and the scratch memory to work on it. */
export class Sieve {
  readonly #none: Int32Array;
  /** Rows left, if they were written here and not only read from a posting. */
  readonly #own: Int32Array;
  /** Rows left; words that are not alive may hold anything. */
  #rows: Int32Array;
  /** Indexes of the words that may have rows left, and their number; {@link ALL}: every word may, and there is no list. */
  readonly #live: Int32Array;
  #liveCount = 0;
  /** Rows that are told one by one; empty between two steps. */
  readonly #single: Int32Array;
  readonly #union: Int32Array;
  /** Sets that a step is about, and their number. */
  readonly #sets: FourSets;
  #setCount = 0;

  constructor(rowCount: number) {
    const words = Math.ceil(rowCount / 32);
    this.#none = new Int32Array(words);
    this.#own = new Int32Array(words);
    this.#rows = this.#own;
    this.#live = new Int32Array(words);
    this.#single = new Int32Array(words);
    this.#union = new Int32Array(words);
    this.#sets = [this.#none, this.#none, this.#none, this.#none];
  }

  /** Is nothing left? `false`: something may be. */
  get isEmpty(): boolean {
    return this.#liveCount === 0;
  }

  /** Begins with these rows, which must not change before the next beginning. */
  begin(rows: Int32Array): void {
    this.#rows = rows;
    this.#liveCount = ALL;
  }

  /** Begins with what was hit and what is `free`. */
  beginWith({ postings, count }: Hits, free: Int32Array): void {
    const rows = this.#own;
    rows.set(free);
    for (let i = 0; i < count; i++) addPosting(rows, postings[i] as Posting);
    this.begin(rows);
  }

  /** Begins with what was hit, which no posting may tell as bits; `false`: one does, and nothing was begun. */
  beginWithFew({ postings, count: postingCount }: Hits): boolean {
    const rows = this.#own.fill(0);
    const live = this.#live;
    let count = 0;
    let ascends = true;
    for (let i = 0; i < postingCount; i++) {
      for (let link = postings[i]; link !== undefined; link = link.parent) {
        if (link.bits !== undefined) return false;
        for (const id of link.ids) {
          const word = id >>> 5;
          if (rows[word] === 0) {
            if (count > 0 && word < (live[count - 1] as number)) ascends = false;
            live[count++] = word;
          }
          rows[word] = (rows[word] as number) | (1 << (id & 31));
        }
      }
    }
    if (!ascends) live.subarray(0, count).sort();
    this.#rows = rows;
    this.#liveCount = count;
    return true;
  }

  /** Makes a list of the words that have rows left, if those are few: it pays when few rows are left, and more steps follow. */
  narrow(): void {
    const rows = this.#rows;
    const live = this.#live;
    let count = 0;
    for (let word = 0; word < rows.length; word++) {
      if (rows[word] !== 0) live[count++] = word;
    }
    if (count > rows.length * FEW_WORDS) return;
    this.#own.set(rows);
    this.#rows = this.#own;
    this.#liveCount = count;
  }

  /** Keeps the rows that were hit or are `free`. */
  keep(hits: Hits, free: Int32Array | undefined): void {
    this.#setCount = 0;
    if (free !== undefined) this.#addSet(free);
    this.#gather(hits, true);
    this.#pass(0);
    this.#forget(hits);
  }

  /** Takes away the rows that were hit. */
  drop(hits: Hits): void {
    if (hits.count === 0 || this.#dropFew(hits)) return;
    this.#setCount = 0;
    this.#gather(hits, false);
    this.#pass(-1);
    this.#forget(hits);
  }

  /** Takes away what no posting tells as bits; `false`: one does, or there is nothing to take away from yet. */
  #dropFew({ postings, count }: Hits): boolean {
    const rows = this.#own;
    if (this.#rows !== rows) return false;
    for (let i = 0; i < count; i++) {
      for (let link = postings[i]; link !== undefined; link = link.parent) {
        if (link.bits !== undefined) return false;
        for (const id of link.ids) rows[id >>> 5] = (rows[id >>> 5] as number) & ~(1 << (id & 31));
      }
    }
    return true;
  }

  /** Writes the rows left, as many as there is room for. Gives their number; -1: there are more. */
  list(into: Int32Array): number {
    let count = 0;
    const more = this.find((row) => {
      if (count === into.length) return true;
      into[count++] = row;
      return false;
    });
    return more === -1 ? count : -1;
  }

  /** The first row left that is accepted; -1: there is none. */
  find(accepts: (row: number) => boolean): number {
    const rows = this.#rows;
    const isListed = this.#liveCount !== ALL;
    const count = isListed ? this.#liveCount : rows.length;
    for (let i = 0; i < count; i++) {
      const word = isListed ? (this.#live[i] as number) : i;
      for (let bits = rows[word] as number; bits !== 0; bits &= bits - 1) {
        const row = word * 32 + 31 - Math.clz32(bits & -bits);
        if (accepts(row)) return row;
      }
    }
    return -1;
  }

  /** Makes sets of what was hit. Sets beyond those of one pass are united if they are to be kept, else taken away at once. */
  #gather({ postings, count }: Hits, keeps: boolean): void {
    let hasSingle = false;
    for (let i = 0; i < count; i++) {
      let link = postings[i];
      for (; link !== undefined && link.bits === undefined; link = link.parent) {
        setBits(this.#single, link.ids);
        hasSingle = true;
      }
      if (link?.bits === undefined) continue;
      this.#makeRoom(keeps);
      this.#addSet(link.bits);
    }
    if (!hasSingle) return;
    this.#makeRoom(keeps);
    this.#addSet(this.#single);
  }

  #addSet(set: Int32Array): void {
    this.#sets[this.#setCount++] = set;
  }

  #makeRoom(keeps: boolean): void {
    if (this.#setCount < AT_ONCE) return;
    if (keeps) this.#unite();
    else this.#pass(-1);
  }

  /** Makes one set of four. */
  #unite(): void {
    const [first, second, third, fourth] = this.#sets;
    const union = this.#union;
    this.#setCount = 1;
    this.#sets[0] = union;
    for (let word = 0; word < union.length; word++) {
      union[word] = (first[word] as number) | (second[word] as number) | (third[word] as number) | (fourth[word] as number);
    }
  }

  /** Keeps what is in one of the sets or, if `flip` is -1, what is in none. */
  #pass(flip: 0 | -1): void {
    const sets = this.#sets;
    const count = this.#setCount;
    this.#setCount = 0;
    sets.fill(this.#none, count);
    if (this.#liveCount !== ALL) this.#passLive(flip);
    else if (count <= 2) this.#passTwo(flip);
    else this.#passFour(flip);
    this.#rows = this.#own;
  }

  // Without a list of words these two take a fourth of the time; most passes are about one set or two.
  #passTwo(flip: 0 | -1): void {
    const [first, second] = this.#sets;
    const rows = this.#rows;
    const own = this.#own;
    let all = 0;
    for (let word = 0; word < own.length; word++) {
      const any = (first[word] as number) | (second[word] as number);
      const bits = (rows[word] as number) & (any ^ flip);
      own[word] = bits;
      all |= bits;
    }
    if (all === 0) this.#liveCount = 0;
  }

  #passFour(flip: 0 | -1): void {
    const [first, second, third, fourth] = this.#sets;
    const rows = this.#rows;
    const own = this.#own;
    let all = 0;
    for (let word = 0; word < own.length; word++) {
      const any = (first[word] as number) | (second[word] as number) | (third[word] as number) | (fourth[word] as number);
      const bits = (rows[word] as number) & (any ^ flip);
      own[word] = bits;
      all |= bits;
    }
    if (all === 0) this.#liveCount = 0;
  }

  #passLive(flip: 0 | -1): void {
    const [first, second, third, fourth] = this.#sets;
    const rows = this.#own;
    const live = this.#live;
    const count = this.#liveCount;
    let left = 0;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      const any = (first[word] as number) | (second[word] as number) | (third[word] as number) | (fourth[word] as number);
      const bits = (rows[word] as number) & (any ^ flip);
      rows[word] = bits;
      live[left] = word;
      if (bits !== 0) left++;
    }
    this.#liveCount = left;
  }

  /** Empties the set of rows that were told one by one. */
  #forget({ postings, count }: Hits): void {
    for (let i = 0; i < count; i++) {
      for (let link = postings[i]; link !== undefined && link.bits === undefined; link = link.parent) {
        for (const id of link.ids) this.#single[id >>> 5] = 0;
      }
    }
  }
}
