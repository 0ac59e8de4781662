/*
 * The rules that a request may match, when guards leave too many: one set of rows for each axis, as bits, and the intersection of
 * all of them. In: rules; then facts. Out: the first rule that passes its own test. Cost is that of a few lookups and some
 * passes over one bit a row, whatever the policies look like; and of the lookups alone when a request that hit the same was asked
 * before. Used by `RuleSearch`.
 */

import type { RequestFacts } from '../../facts.ts';
import type { Rule } from '../../model/program.ts';
import type { Claims } from '../compile-clause.ts';
import { Answers, MAX_RULES } from './answers.ts';
import { type FilterAxis, filterAxes } from './filter-axes.ts';
import { clearHits, createHits, createKeptPosting, type Hits } from './posting.ts';
import { type RowSet, RowSets } from './row-sets.ts';
import { rowsOf } from './rows.ts';
import { segmentAxes } from './segment-axes.ts';
import { Sieve } from './sieve.ts';
import type { TokenPart } from './token-part.ts';

interface Axis extends FilterAxis {
  /** Position among the axes that depend on the token alone; -1: it depends on the request. */
  readonly tokenAxis: number;
  readonly hits: Hits;
  /** What the request in hand hits: `hits`, or what is known of its token. */
  found: Hits;
}

/** Hits kept one by one for a token; more are kept as their union. */
const MAX_KEPT = 16;

/** Tests the rule at an index. */
export type TestRule = (rule: number) => boolean;

function searchable(axes: readonly FilterAxis[], firstTokenAxis: number): readonly Axis[] {
  let tokenAxes = firstTokenAxis;
  return axes.map((axis) => {
    const hits = createHits();
    return { ...axis, tokenAxis: axis.isToken ? tokenAxes++ : -1, hits, found: hits };
  });
}

/** Builds the filter of all rules. */
export function buildRowFilter(rules: readonly Rule[]): RowFilter {
  const rows = rowsOf(rules);
  const sets = new RowSets(rows.length);
  const wanted = filterAxes(rows, 'anyOf', sets);
  const segments = wanted.some(({ givesUp }) => givesUp) ? segmentAxes(rows, sets) : [];
  const excluded = filterAxes(rows, 'noneOf', sets);
  const tokenAxes = wanted.filter(({ isToken }) => isToken).length;
  const axes = { wanted: searchable(wanted, 0), segments: searchable(segments, 0), excluded: searchable(excluded, tokenAxes) };
  return new RowFilter(
    axes,
    rows.map(({ rule }) => rule),
    sets,
  );
}

interface Axes {
  readonly wanted: readonly Axis[];
  readonly segments: readonly Axis[];
  readonly excluded: readonly Axis[];
}

/** Holds the scratch memory of searches, which never overlap. */
export class RowFilter {
  /** Those that are always looked up, and then those of segments. */
  readonly #wanted: readonly Axis[];
  readonly #alwaysWanted: number;
  readonly #excluded: readonly Axis[];
  readonly #tokenAxes: readonly Axis[];
  readonly #ruleByRow: Int32Array;
  readonly #all: RowSet;
  readonly #sieve: Sieve;
  readonly #answers = new Answers();
  /** Some rules that may match. */
  readonly #few = new Int32Array(MAX_RULES);

  /** Seals `sets`. */
  constructor({ wanted, segments, excluded }: Axes, ruleByRow: readonly number[], sets: RowSets) {
    this.#wanted = [...wanted, ...segments];
    this.#alwaysWanted = wanted.length;
    this.#excluded = excluded;
    this.#tokenAxes = [...wanted, ...excluded].filter(({ tokenAxis }) => tokenAxis !== -1);
    this.#ruleByRow = Int32Array.from(ruleByRow);
    this.#all = sets.createFull();
    this.#sieve = new Sieve(sets, MAX_RULES);
  }

  /**
   * The first rule that may match and passes `test`; -1: none.
   * @param gaveUp a search for templates that the path fits has already taken too long
   */
  search(facts: RequestFacts, token: TokenPart | undefined, gaveUp: boolean, test: TestRule): number {
    const answers = this.#answers;
    const axes = this.#lookUp(facts, token, gaveUp);
    const slot = answers.slot();
    if (slot !== -1 && answers.isKnown(slot)) {
      for (let i = 0, count = answers.count(slot); i < count; i++) {
        const rule = answers.rule(slot, i);
        if (test(rule)) return rule;
      }
      return -1;
    }
    this.#sift(axes);
    const rows = this.#sieve.list();
    if (rows === -1) return this.#tryAll(test);
    const rules = this.#few;
    const count = this.#toRules(rows);
    if (slot !== -1) answers.keep(slot, rules, count);
    for (let i = 0; i < count; i++) if (test(rules[i] as number)) return rules[i] as number;
    return -1;
  }

  /** Looks up every axis, and segment by segment when that of the path gave up. Gives the number of wanted axes looked up. */
  #lookUp(facts: RequestFacts, token: TokenPart | undefined, gaveUp: boolean): number {
    const claims = token?.claims;
    const tokenHits = token?.isKept === true ? (token.rows ??= this.#tokenRows(facts, token.claims)) : undefined;
    const wanted = this.#wanted;
    const answers = this.#answers;
    answers.begin();
    let count = this.#alwaysWanted;
    for (let i = 0; i < count; i++) {
      const axis = wanted[i] as Axis;
      axis.found = gaveUp && axis.givesUp ? GAVE_UP : foundFor(axis, facts, claims, tokenHits);
      answers.note(axis.found);
      if (axis.found.isPartial && axis.givesUp) count = wanted.length;
    }
    for (const axis of this.#excluded) {
      axis.found = foundFor(axis, facts, claims, tokenHits);
      answers.note(axis.found);
    }
    return count;
  }

  /** Leaves the rows that the first `count` wanted axes, and all that exclude, let pass. */
  #sift(count: number): void {
    const sieve = this.#sieve;
    const wanted = this.#wanted;
    const smallest = this.#smallest(count);
    this.#begin(smallest);
    for (let i = 0; i < count && !sieve.isEmpty; i++) {
      const axis = wanted[i] as Axis;
      if (axis !== smallest && !axis.found.isPartial && !this.#leavesAll(axis))
        sieve.keep(axis.found, axis.freeCount === 0 ? undefined : axis.free);
    }
    for (const { found } of this.#excluded) {
      if (sieve.isEmpty) return;
      sieve.drop(found);
    }
  }

  /** Is every row free, or found by one of two matches? */
  #leavesAll({ found: { count, total, postings }, freeCount, isDisjoint }: Axis): boolean {
    if (!isDisjoint || freeCount + total !== this.#ruleByRow.length) return false;
    return count < 2 || (count === 2 && postings[0] !== postings[1]);
  }

  /** The axis that leaves the fewest rows of the first `count`: what is done first makes the rest cheap. */
  #smallest(count: number): Axis | undefined {
    let smallest: Axis | undefined;
    let size = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const axis = this.#wanted[i] as Axis;
      const own = axis.freeCount + axis.found.total;
      if (axis.found.isPartial || own >= size) continue;
      smallest = axis;
      size = own;
    }
    return smallest;
  }

  /** `undefined`: no axis can be told, and every row is left. */
  #begin(axis: Axis | undefined): void {
    if (axis === undefined) this.#sieve.begin(undefined, this.#all);
    else this.#sieve.begin(axis.found, axis.freeCount === 0 ? undefined : axis.free);
  }

  /** Makes a list of the rules of listed rows, each once. Gives their number. */
  #toRules(count: number): number {
    const few = this.#few;
    let rules = 0;
    for (let i = 0; i < count; i++) {
      const rule = this.#ruleByRow[this.#sieve.listed(i)] as number;
      if (rules === 0 || few[rules - 1] !== rule) few[rules++] = rule;
    }
    return rules;
  }

  #tryAll(test: TestRule): number {
    const ruleByRow = this.#ruleByRow;
    let failed = -1;
    const row = this.#sieve.find((one) => {
      const rule = ruleByRow[one] as number;
      if (rule === failed || !test(rule)) {
        failed = rule;
        return false;
      }
      return true;
    });
    return row === -1 ? -1 : (ruleByRow[row] as number);
  }

  #tokenRows(facts: RequestFacts, claims: Claims): readonly Hits[] {
    return this.#tokenAxes.map((axis) => {
      lookUp(axis, facts, claims);
      return this.#compact(axis.hits);
    });
  }

  /** A copy that may be kept. */
  #compact(hits: Hits): Hits {
    const { postings, count, total } = hits;
    if (count <= MAX_KEPT) return { postings: postings.slice(0, count), count, total, isPartial: false };
    return { postings: [createKeptPosting(this.#sieve.unite(hits), total)], count: 1, total, isPartial: false };
  }
}

/** An axis whose lookup would give up again. */
const GAVE_UP: Hits = { postings: [], count: 0, total: 0, isPartial: true };

function lookUp({ hits, lookups }: Axis, facts: RequestFacts, claims: Claims | undefined): Hits {
  clearHits(hits);
  for (const lookup of lookups) lookup(facts, claims, hits);
  return hits;
}

/** Looks an axis up, unless it is known of the token. */
function foundFor(axis: Axis, facts: RequestFacts, claims: Claims | undefined, tokenHits: readonly Hits[] | undefined): Hits {
  return axis.tokenAxis === -1 || tokenHits === undefined ? lookUp(axis, facts, claims) : (tokenHits[axis.tokenAxis] as Hits);
}
