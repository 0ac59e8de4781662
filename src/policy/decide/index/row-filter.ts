/*
 * The rules that a request may match, when guards leave too many: one set of rows for each axis, as bits, and the intersection of
 * all of them. In: rules; then facts. Out: the first rule that passes its own test. Cost is that of a few lookups and some
 * passes over one bit a row, whatever the policies look like. Used by `RuleSearch`.
 */
import type { Rule } from '../../model/program.ts';
import type { RequestFacts } from '../../request/facts.ts';
import type { Claims } from '../compile-clause.ts';
import { allRows, type FilterAxis, filterAxes } from './filter-axes.ts';
import { addPosting, clearHits, createHits, type Hits, type Posting, setBits } from './posting.ts';
import { rowsOf } from './rows.ts';
import { segmentAxes } from './segment-axes.ts';
import type { TokenPart } from './token-part.ts';

interface Axis extends FilterAxis {
  /** Position among the axes that depend on the token alone; -1: it depends on the request. */
  readonly tokenAxis: number;
  readonly hits: Hits;
  /** What the request in hand hits: `hits`, or what is known of its token. */
  found: Hits;
  /** Rows that the axis leaves; {@link TAKEN} once it has been applied. */
  size: number;
}

/** Sets of rows that one pass takes away. */
const AT_ONCE = 4;
const TAKEN: number = Number.MAX_SAFE_INTEGER;

/** Tests the rule at an index. */
export type TestRule = (rule: number) => boolean;

export interface RowFilter {
  /**
   * The first rule that may match and passes `test`; -1: none.
   * @param gaveUp a search for templates that the path fits has already taken too long
   */
  search(facts: RequestFacts, token: TokenPart | undefined, gaveUp: boolean, test: TestRule): number;
}

function searchable(axes: readonly FilterAxis[], firstTokenAxis: number): readonly Axis[] {
  let tokenAxes = firstTokenAxis;
  return axes.map((axis) => {
    const hits = createHits();
    return { ...axis, tokenAxis: axis.isToken ? tokenAxes++ : -1, hits, found: hits, size: 0 };
  });
}

/** Builds the filter of all rules. */
export function buildRowFilter(rules: readonly Rule[]): RowFilter {
  const rows = rowsOf(rules);
  const wanted = [...filterAxes(rows, 'anyOf')];
  // Rules without any positive clause: nothing is looked up, and every row is left.
  if (wanted.length === 0) wanted.push({ lookups: [], isToken: false, givesUp: false, free: allRows(rows.length), freeCount: rows.length });
  const tokenAxes = wanted.filter(({ isToken }) => isToken).length;
  return new Sieve(
    searchable(wanted, 0),
    searchable(wanted.some(({ givesUp }) => givesUp) ? segmentAxes(rows) : [], 0),
    searchable(filterAxes(rows, 'noneOf'), tokenAxes),
    rows.map(({ rule }) => rule),
  );
}

/** Holds the scratch memory of searches, which never overlap. */
class Sieve implements RowFilter {
  /** Those that are always looked up, and then those of segments. */
  readonly #wanted: readonly Axis[];
  readonly #alwaysWanted: number;
  readonly #excluded: readonly Axis[];
  readonly #tokenAxes: readonly Axis[];
  readonly #ruleByRow: Int32Array;
  readonly #words: number;
  readonly #all: Int32Array;
  readonly #none: Int32Array;
  /** Sets of rows that are to be dropped in one pass. */
  readonly #dropped: Int32Array[];
  /** Rows left. */
  readonly #rows: Int32Array;
  readonly #other: Int32Array;
  /** Indexes of the words that have rows left, and their number. */
  readonly #live: Int32Array;
  #liveCount = 0;

  constructor(wanted: readonly Axis[], segments: readonly Axis[], excluded: readonly Axis[], ruleByRow: readonly number[]) {
    this.#wanted = [...wanted, ...segments];
    this.#alwaysWanted = wanted.length;
    this.#excluded = excluded;
    this.#tokenAxes = [...wanted, ...excluded].filter(({ tokenAxis }) => tokenAxis !== -1);
    this.#ruleByRow = Int32Array.from(ruleByRow);
    this.#words = Math.ceil(ruleByRow.length / 32);
    this.#all = allRows(ruleByRow.length);
    this.#none = new Int32Array(this.#words);
    this.#dropped = new Array<Int32Array>(AT_ONCE).fill(this.#none);
    this.#rows = new Int32Array(this.#words);
    this.#other = new Int32Array(this.#words);
    this.#live = new Int32Array(this.#words);
  }

  search(facts: RequestFacts, token: TokenPart | undefined, gaveUp: boolean, test: TestRule): number {
    const claims = token?.claims;
    const tokenHits = token?.isKept === true ? (token.rows ??= this.#tokenRows(facts, token.claims)) : undefined;
    const axes = this.#lookUp(facts, claims, tokenHits, gaveUp);
    this.#begin(this.#takeSmallest(axes));
    for (let step = 1; step < axes && this.#liveCount > 0; step++) {
      const axis = this.#takeSmallest(axes);
      if (axis === undefined) break;
      this.#keep(axis);
    }
    for (const axis of this.#excluded) {
      if (this.#liveCount === 0) return -1;
      this.#drop(foundFor(axis, facts, claims, tokenHits));
    }
    return this.#first(test);
  }

  /** Looks up every wanted axis, and segment by segment when that of the path gave up. Gives the number of axes looked up. */
  #lookUp(facts: RequestFacts, claims: Claims | undefined, tokenHits: readonly Hits[] | undefined, gaveUp: boolean): number {
    const wanted = this.#wanted;
    let count = this.#alwaysWanted;
    for (let i = 0; i < count; i++) {
      const axis = wanted[i] as Axis;
      let isPartial = gaveUp && axis.givesUp;
      if (!isPartial) {
        axis.found = foundFor(axis, facts, claims, tokenHits);
        ({ isPartial } = axis.found);
      }
      axis.size = isPartial ? TAKEN : axis.freeCount + axis.found.total;
      if (isPartial && axis.givesUp) count = wanted.length;
    }
    return count;
  }

  /** The axis that leaves the fewest rows of the first `count` that are not taken yet: what is done first makes the rest cheap. */
  #takeSmallest(count: number): Axis | undefined {
    const wanted = this.#wanted;
    let smallest: Axis | undefined;
    let size = TAKEN;
    for (let i = 0; i < count; i++) {
      const axis = wanted[i] as Axis;
      if (axis.size < size) {
        smallest = axis;
        size = axis.size;
      }
    }
    if (smallest !== undefined) smallest.size = TAKEN;
    return smallest;
  }

  /** `undefined`: no axis can be told, and every row is left. */
  #begin(axis: Axis | undefined): void {
    if (axis === undefined) {
      this.#rows.set(this.#all);
      for (let word = 0; word < this.#words; word++) this.#live[word] = word;
      this.#liveCount = this.#words;
      return;
    }
    const { free, freeCount, found } = axis;
    if (freeCount === 0 && this.#scatter(found)) return;
    const rows = this.#rows;
    const live = this.#live;
    const only = freeCount === 0 && found.count === 1 ? found.postings[0]?.bits : undefined;
    rows.set(only ?? free);
    if (only === undefined) for (let i = 0; i < found.count; i++) addPosting(rows, found.postings[i] as Posting);
    let count = 0;
    for (let word = 0; word < rows.length; word++) {
      if (rows[word] !== 0) live[count++] = word;
    }
    this.#liveCount = count;
  }

  /** Begins with rows told one by one; `false`: some are told as bits. */
  #scatter({ postings, count: postingCount }: Hits): boolean {
    const rows = this.#rows.fill(0);
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
    this.#liveCount = count;
    return true;
  }

  #keep(axis: Axis): void {
    const rows = this.#rows;
    const live = this.#live;
    const count = this.#liveCount;
    const other = this.#union(axis.found, axis.freeCount === 0 ? undefined : axis.free);
    let left = 0;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      const bits = (rows[word] as number) & (other[word] as number);
      rows[word] = bits;
      if (bits !== 0) live[left++] = word;
    }
    this.#liveCount = left;
  }

  #drop(hits: Hits): void {
    if (hits.count === 0) return;
    const rows = this.#rows;
    const dropped = this.#dropped;
    let count = 0;
    for (let i = 0; i < hits.count; i++) {
      let link = hits.postings[i];
      for (; link !== undefined && link.bits === undefined; link = link.parent) {
        for (const id of link.ids) rows[id >>> 5] = (rows[id >>> 5] as number) & ~(1 << (id & 31));
      }
      if (link?.bits === undefined) continue;
      dropped[count++] = link.bits;
      if (count === AT_ONCE) {
        this.#dropBits(dropped[0] as Int32Array, dropped[1] as Int32Array, dropped[2] as Int32Array, dropped[3] as Int32Array);
        count = 0;
      }
    }
    if (count > 0) {
      dropped.fill(this.#none, count);
      this.#dropBits(dropped[0] as Int32Array, dropped[1] as Int32Array, dropped[2] as Int32Array, dropped[3] as Int32Array);
    }
    this.#forgetEmptyWords();
  }

  /** Several sets in one pass: each pass reads and writes all that is left. */
  #dropBits(first: Int32Array, second: Int32Array, third: Int32Array, fourth: Int32Array): void {
    const rows = this.#rows;
    const live = this.#live;
    const count = this.#liveCount;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      const gone = (first[word] as number) | (second[word] as number) | (third[word] as number) | (fourth[word] as number);
      rows[word] = (rows[word] as number) & ~gone;
    }
  }

  #forgetEmptyWords(): void {
    const rows = this.#rows;
    const live = this.#live;
    const count = this.#liveCount;
    let left = 0;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      if (rows[word] !== 0) live[left++] = word;
    }
    this.#liveCount = left;
  }

  /** What was hit and `free`, in the live words; the other words may hold anything. */
  #union(hits: Hits, free: Int32Array | undefined): Int32Array {
    const only = hits.count === 1 && free === undefined ? hits.postings[0]?.bits : undefined;
    if (only !== undefined) return only;
    const other = this.#other;
    const live = this.#live;
    const count = this.#liveCount;
    if (free === undefined) for (let i = 0; i < count; i++) other[live[i] as number] = 0;
    else for (let i = 0; i < count; i++) other[live[i] as number] = free[live[i] as number] as number;
    this.#addToOther(hits);
    return other;
  }

  /** Adds what was hit, in the live words; the others may hold anything. */
  #addToOther({ postings, count }: Hits): void {
    for (let i = 0; i < count; i++) {
      let link = postings[i];
      for (; link !== undefined && link.bits === undefined; link = link.parent) setBits(this.#other, link.ids);
      if (link?.bits !== undefined) this.#addBits(link.bits);
    }
  }

  #addBits(bits: Int32Array): void {
    const other = this.#other;
    const live = this.#live;
    const count = this.#liveCount;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      other[word] = (other[word] as number) | (bits[word] as number);
    }
  }

  #first(test: TestRule): number {
    let failed = -1;
    for (let i = 0; i < this.#liveCount; i++) {
      const word = this.#live[i] as number;
      for (let bits = this.#rows[word] as number; bits !== 0; bits &= bits - 1) {
        const rule = this.#ruleByRow[word * 32 + 31 - Math.clz32(bits & -bits)] as number;
        if (rule !== failed && test(rule)) return rule;
        failed = rule;
      }
    }
    return -1;
  }

  #tokenRows(facts: RequestFacts, claims: Claims): readonly Hits[] {
    return this.#tokenAxes.map((axis) => {
      lookUp(axis, facts, claims);
      return compact(axis.hits, this.#words);
    });
  }
}

function lookUp({ hits, lookups }: Axis, facts: RequestFacts, claims: Claims | undefined): Hits {
  clearHits(hits);
  for (const lookup of lookups) lookup(facts, claims, hits);
  return hits;
}

/** Looks an axis up, unless it is known of the token. */
function foundFor(axis: Axis, facts: RequestFacts, claims: Claims | undefined, tokenHits: readonly Hits[] | undefined): Hits {
  return axis.tokenAxis === -1 || tokenHits === undefined ? lookUp(axis, facts, claims) : (tokenHits[axis.tokenAxis] as Hits);
}

/** Hits kept one by one for a token; more are kept as their union. */
const MAX_KEPT = 16;

/** A copy that may be kept. */
function compact({ postings, count, total }: Hits, words: number): Hits {
  if (count <= MAX_KEPT) return { postings: postings.slice(0, count), count, total, isPartial: false };
  const bits = new Int32Array(words);
  for (let i = 0; i < count; i++) addPosting(bits, postings[i] as Posting);
  return { postings: [{ ids: [], parent: undefined, total, bits, pending: 0 }], count: 1, total, isPartial: false };
}
