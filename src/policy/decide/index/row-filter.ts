/*
 * The rules that a request may match, when guards leave too many: one set of rows for each axis, as bits, and the intersection of
 * all of them. In: rules; then facts. Out: the first rule that passes its own test. Cost is that of a few lookups and some
 * passes over one bit a row, whatever the policies look like. Used by `RuleSearch`.
 */
import type { Clause, Rule } from '../../model/program.ts';
import type { RequestFacts } from '../../request/facts.ts';
import type { Claims } from '../compile-clause.ts';
import { createLookup, type Lookup } from './axis.ts';
import { addPosting, clearHits, createHits, type Hits, type Posting } from './posting.ts';
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
  readonly free: Uint32Array;
  readonly freeCount: number;
  readonly hits: Hits;
}

/** Tests the rule at an index. */
export type TestRule = (rule: number) => boolean;

export interface RowFilter {
  /** The first rule that may match and passes `test`; -1: none. */
  search(facts: RequestFacts, claims: Claims | undefined, token: TokenPart | undefined, test: TestRule): number;
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

function buildAxes(drafts: readonly AxisDraft[], rowCount: number, firstTokenAxis: number): readonly Axis[] {
  const words = Math.ceil(rowCount / 32);
  let tokenAxes = firstTokenAxis;
  return drafts.map(({ clause, index, rows }) => {
    const free = new Uint32Array(words).fill(0xffffffff);
    for (const id of rows) free[id >>> 5] = (free[id >>> 5] as number) & ~(1 << (id & 31));
    // The last word has bits that are no rows.
    if (rowCount % 32 !== 0) free[words - 1] = (free[words - 1] as number) & (2 ** (rowCount % 32) - 1);
    return {
      lookup: createLookup(clause, buildTermIndex(index, words)),
      tokenAxis: isTokenClause(clause) ? tokenAxes++ : -1,
      free,
      freeCount: rowCount - rows.length,
      hits: createHits(),
    };
  });
}

/** Builds the filter of all rules. */
export function buildRowFilter(rules: readonly Rule[]): RowFilter {
  const rows = rowsOf(rules);
  const wanted = buildAxes(draftAxes(rows, 'anyOf'), rows.length, 0);
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
  readonly #rows: Uint32Array;
  readonly #other: Uint32Array;
  /** Indexes of the words that have rows left, and their number. */
  readonly #live: Int32Array;
  #liveCount = 0;

  constructor(wanted: readonly Axis[], excluded: readonly Axis[], ruleByRow: readonly number[]) {
    this.#wanted = wanted;
    this.#excluded = excluded;
    this.#tokenAxes = [...wanted, ...excluded].filter(({ tokenAxis }) => tokenAxis !== -1);
    this.#ruleByRow = Int32Array.from(ruleByRow);
    this.#words = Math.ceil(ruleByRow.length / 32);
    this.#rows = new Uint32Array(this.#words);
    this.#other = new Uint32Array(this.#words);
    this.#live = new Int32Array(this.#words);
  }

  search(facts: RequestFacts, claims: Claims | undefined, token: TokenPart | undefined, test: TestRule): number {
    const tokenHits = token === undefined ? undefined : (token.rows ??= this.#tokenRows(facts, claims));
    const smallest = this.#lookUp(facts, claims, tokenHits);
    this.#begin(smallest, tokenHits);
    for (const axis of this.#wanted) {
      if (this.#liveCount === 0) return -1;
      if (axis !== smallest) this.#intersect(axis, hitsOf(axis, tokenHits));
    }
    for (const axis of this.#excluded) {
      if (axis.tokenAxis === -1 || tokenHits === undefined) lookUp(axis, facts, claims);
      this.#exclude(hitsOf(axis, tokenHits));
    }
    return this.#first(test);
  }

  /** Looks up every wanted axis. Gives the one that leaves the fewest rows; `undefined`: no row has any. */
  #lookUp(facts: RequestFacts, claims: Claims | undefined, tokenHits: readonly Hits[] | undefined): Axis | undefined {
    let smallest: Axis | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const axis of this.#wanted) {
      if (axis.tokenAxis === -1 || tokenHits === undefined) lookUp(axis, facts, claims);
      const size = axis.freeCount + hitsOf(axis, tokenHits).total;
      if (size < fewest) {
        fewest = size;
        smallest = axis;
      }
    }
    return smallest;
  }

  #begin(axis: Axis | undefined, tokenHits: readonly Hits[] | undefined): void {
    const rows = this.#rows;
    if (axis === undefined) rows.fill(0xffffffff);
    else {
      rows.set(axis.free);
      const { postings, count } = hitsOf(axis, tokenHits);
      for (let i = 0; i < count; i++) addPosting(rows, postings[i] as Posting);
    }
    let live = 0;
    for (let word = 0; word < this.#words; word++) {
      if (rows[word] !== 0) this.#live[live++] = word;
    }
    this.#liveCount = live;
  }

  #intersect({ free }: Axis, hits: Hits): void {
    const rows = this.#rows;
    const other = this.#other;
    const live = this.#live;
    const count = this.#liveCount;
    for (let i = 0; i < count; i++) other[live[i] as number] = free[live[i] as number] as number;
    this.#addToOther(hits);
    let left = 0;
    for (let i = 0; i < count; i++) {
      const word = live[i] as number;
      const bits = (rows[word] as number) & (other[word] as number);
      rows[word] = bits;
      if (bits !== 0) live[left++] = word;
    }
    this.#liveCount = left;
  }

  #exclude(hits: Hits): void {
    if (hits.count === 0) return;
    const live = this.#live;
    for (let i = 0; i < this.#liveCount; i++) this.#other[live[i] as number] = 0;
    this.#addToOther(hits);
    for (let i = 0; i < this.#liveCount; i++) {
      const word = live[i] as number;
      this.#rows[word] = (this.#rows[word] as number) & ~(this.#other[word] as number);
    }
  }

  /** Adds what was hit, in the live words; the others may hold anything. */
  #addToOther({ postings, count }: Hits): void {
    const other = this.#other;
    for (let i = 0; i < count; i++) {
      for (let link = postings[i]; link !== undefined; link = link.parent) {
        const { bits } = link;
        if (bits !== undefined) {
          for (let j = 0; j < this.#liveCount; j++) {
            const word = this.#live[j] as number;
            other[word] = (other[word] as number) | (bits[word] as number);
          }
          break;
        }
        for (const id of link.ids) other[id >>> 5] = (other[id >>> 5] as number) | (1 << (id & 31));
      }
    }
  }

  #first(test: TestRule): number {
    let failed = -1;
    for (let i = 0; i < this.#liveCount; i++) {
      const word = this.#live[i] as number;
      for (let bits = this.#rows[word] as number; bits !== 0; bits &= bits - 1) {
        const rule = this.#ruleByRow[word * 32 + 31 - Math.clz32(bits & -bits)];
        if (rule === undefined) return -1;
        if (rule !== failed && test(rule)) return rule;
        failed = rule;
      }
    }
    return -1;
  }

  #tokenRows(facts: RequestFacts, claims: Claims | undefined): readonly Hits[] {
    return this.#tokenAxes.map((axis) => {
      lookUp(axis, facts, claims);
      return compact(axis.hits, this.#words);
    });
  }
}

function lookUp({ hits, lookup }: Axis, facts: RequestFacts, claims: Claims | undefined): void {
  clearHits(hits);
  lookup(facts, claims, hits);
}

function hitsOf({ tokenAxis, hits }: Axis, tokenHits: readonly Hits[] | undefined): Hits {
  return tokenAxis === -1 || tokenHits === undefined ? hits : (tokenHits[tokenAxis] as Hits);
}

/** Hits kept one by one for a token; more are kept as their union. */
const MAX_KEPT = 16;

/** A copy that may be kept. */
function compact({ postings, count, total }: Hits, words: number): Hits {
  if (count <= MAX_KEPT) return { postings: postings.slice(0, count), count, total };
  const bits = new Uint32Array(words);
  for (let i = 0; i < count; i++) addPosting(bits, postings[i] as Posting);
  return { postings: [{ ids: [], parent: undefined, total, bits, pending: 0 }], count: 1, total };
}
