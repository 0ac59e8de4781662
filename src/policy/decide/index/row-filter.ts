/*
 * The rules that a request may match, when guards leave too many: one set of rows for each axis, as bits, and the intersection of
 * all of them. In: rules; then facts. Out: the first rule that passes its own test. Cost is that of a few lookups and some
 * passes over one bit a row, whatever the policies look like. Used by `RuleSearch`.
 */
import type { Clause, Rule } from '../../model/program.ts';
import type { RequestFacts } from '../../request/facts.ts';
import type { Claims } from '../compile-clause.ts';
import { createLookup, type Lookup } from './axis.ts';
import { addPosting, clearHits, createHits, type Hits, type Posting, setBits } from './posting.ts';
import { type Constraint, type Row, rowsOf } from './rows.ts';
import { isTokenClause } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft, type IndexDraft } from './term-index.ts';
import type { TokenPart } from './token-part.ts';

/** Axes beyond these, which few rows have, are left to the rules' own tests. */
const MAX_AXES = 12;

interface Axis {
  readonly lookup: Lookup;
  /** Position among the axes that depend on the token alone; -1: it depends on the request. */
  readonly tokenAxis: number;
  /** Rows that do not care, as bits, and their number; those of an excluding axis are not asked for. */
  readonly free: Int32Array;
  readonly freeCount: number;
  readonly hits: Hits;
  /** What the request in hand hits: `hits`, or what is known of its token. */
  found: Hits;
  /** Rows that the axis leaves; {@link TAKEN} once it has been applied. */
  size: number;
}

const TAKEN: number = Number.MAX_SAFE_INTEGER;

/** Tests the rule at an index. */
export type TestRule = (rule: number) => boolean;

export interface RowFilter {
  /** The first rule that may match and passes `test`; -1: none. */
  search(facts: RequestFacts, token: TokenPart | undefined, test: TestRule): number;
}

interface AxisDraft {
  readonly clause: Clause;
  readonly index: IndexDraft;
  readonly rows: number[];
}

function draftAxes(rows: readonly Row[], list: 'anyOf' | 'noneOf'): readonly AxisDraft[] {
  const axes = new Map<string, AxisDraft>();
  for (const [id, row] of rows.entries()) {
    for (const [key, constraint] of row[list]) draftConstraint(axes, key, constraint, id);
  }
  return [...axes.values()].sort((left, right) => right.rows.length - left.rows.length).slice(0, MAX_AXES);
}

function draftConstraint(axes: Map<string, AxisDraft>, key: string, { clause, terms }: Constraint, id: number): void {
  let axis = axes.get(key);
  if (axis === undefined) {
    axis = { clause, index: createIndexDraft(), rows: [] };
    axes.set(key, axis);
  }
  axis.rows.push(id);
  for (const term of terms) addTerm(axis.index, term, id);
}

/** A bit for every row; the last word has bits that are no rows, which are left out. */
function allRows(rowCount: number): Int32Array {
  const words = new Int32Array(Math.ceil(rowCount / 32)).fill(-1);
  if (rowCount % 32 !== 0) words[words.length - 1] = 2 ** (rowCount % 32) - 1;
  return words;
}

function freeAxis(rowCount: number): Axis {
  const hits = createHits();
  return { lookup: () => {}, tokenAxis: -1, free: allRows(rowCount), freeCount: rowCount, hits, found: hits, size: 0 };
}

function buildAxes(drafts: readonly AxisDraft[], rowCount: number, firstTokenAxis: number): Axis[] {
  const words = Math.ceil(rowCount / 32);
  let tokenAxes = firstTokenAxis;
  return drafts.map(({ clause, index, rows }) => {
    const free = allRows(rowCount);
    for (const id of rows) free[id >>> 5] = (free[id >>> 5] as number) & ~(1 << (id & 31));
    const hits = createHits();
    return {
      lookup: createLookup(clause, buildTermIndex(index, words)),
      tokenAxis: isTokenClause(clause) ? tokenAxes++ : -1,
      free,
      freeCount: rowCount - rows.length,
      hits,
      found: hits,
      size: 0,
    };
  });
}

/** Builds the filter of all rules. */
export function buildRowFilter(rules: readonly Rule[]): RowFilter {
  const rows = rowsOf(rules);
  const wanted = buildAxes(draftAxes(rows, 'anyOf'), rows.length, 0);
  // Rules without any positive clause: nothing is looked up, and every row is left.
  if (wanted.length === 0) wanted.push(freeAxis(rows.length));
  const tokenAxes = wanted.filter(({ tokenAxis }) => tokenAxis !== -1).length;
  const excluded = buildAxes(draftAxes(rows, 'noneOf'), rows.length, tokenAxes);
  return new Sieve(
    wanted,
    excluded,
    rows.map(({ rule }) => rule),
  );
}

/** Holds the scratch memory of searches, which never overlap. */
class Sieve implements RowFilter {
  readonly #wanted: readonly Axis[];
  readonly #excluded: readonly Axis[];
  readonly #tokenAxes: readonly Axis[];
  readonly #ruleByRow: Int32Array;
  readonly #words: number;
  /** Rows left. */
  readonly #rows: Int32Array;
  readonly #other: Int32Array;
  /** Indexes of the words that have rows left, and their number. */
  readonly #live: Int32Array;
  #liveCount = 0;

  constructor(wanted: readonly Axis[], excluded: readonly Axis[], ruleByRow: readonly number[]) {
    this.#wanted = wanted;
    this.#excluded = excluded;
    this.#tokenAxes = [...wanted, ...excluded].filter(({ tokenAxis }) => tokenAxis !== -1);
    this.#ruleByRow = Int32Array.from(ruleByRow);
    this.#words = Math.ceil(ruleByRow.length / 32);
    this.#rows = new Int32Array(this.#words);
    this.#other = new Int32Array(this.#words);
    this.#live = new Int32Array(this.#words);
  }

  search(facts: RequestFacts, token: TokenPart | undefined, test: TestRule): number {
    const tokenHits = token === undefined ? undefined : (token.rows ??= this.#tokenRows(facts, token.claims));
    this.#lookUp(facts, tokenHits);
    this.#begin(this.#takeSmallest());
    for (let step = 1; step < this.#wanted.length && this.#liveCount > 0; step++) this.#keep(this.#takeSmallest());
    for (const axis of this.#excluded) {
      if (this.#liveCount === 0) return -1;
      this.#drop(foundFor(axis, facts, tokenHits));
    }
    return this.#first(test);
  }

  /** Looks up every wanted axis. */
  #lookUp(facts: RequestFacts, tokenHits: readonly Hits[] | undefined): void {
    for (const axis of this.#wanted) {
      axis.found = foundFor(axis, facts, tokenHits);
      axis.size = axis.freeCount + axis.found.total;
    }
  }

  /** The axis that leaves the fewest rows of those not taken yet: what is done first makes the rest cheap. */
  #takeSmallest(): Axis {
    const wanted = this.#wanted;
    let smallest = wanted[0] as Axis;
    for (let i = 1; i < wanted.length; i++) {
      const axis = wanted[i] as Axis;
      if (axis.size < smallest.size) smallest = axis;
    }
    smallest.size = TAKEN;
    return smallest;
  }

  #begin({ free, freeCount, found }: Axis): void {
    if (freeCount === 0 && this.#scatter(found)) return;
    const rows = this.#rows;
    const live = this.#live;
    rows.set(free);
    for (let i = 0; i < found.count; i++) addPosting(rows, found.postings[i] as Posting);
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
    const live = this.#live;
    const count = this.#liveCount;
    const other = this.#union(hits, undefined);
    let left = 0;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      const bits = (rows[word] as number) & ~(other[word] as number);
      rows[word] = bits;
      if (bits !== 0) live[left++] = word;
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

function lookUp({ hits, lookup }: Axis, facts: RequestFacts, claims: Claims | undefined): Hits {
  clearHits(hits);
  lookup(facts, claims, hits);
  return hits;
}

/** Looks an axis up, unless it is known of the token. */
function foundFor(axis: Axis, facts: RequestFacts, tokenHits: readonly Hits[] | undefined): Hits {
  return axis.tokenAxis === -1 || tokenHits === undefined ? lookUp(axis, facts, undefined) : (tokenHits[axis.tokenAxis] as Hits);
}

/** Hits kept one by one for a token; more are kept as their union. */
const MAX_KEPT = 16;

/** A copy that may be kept. */
function compact({ postings, count, total }: Hits, words: number): Hits {
  if (count <= MAX_KEPT) return { postings: postings.slice(0, count), count, total };
  const bits = new Int32Array(words);
  for (let i = 0; i < count; i++) addPosting(bits, postings[i] as Posting);
  return { postings: [{ ids: [], parent: undefined, total, bits, pending: 0 }], count: 1, total };
}
