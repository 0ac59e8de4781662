/*
 * Finds the candidate rules of a request by intersecting bitmaps, for rule sets where the access predicates leave too many candidates.
 * This file is the interface of the directory: no other file of it is imported from outside.
 */

import type { Steps } from '../../../../steps.ts';
import type { Claims, RequestFacts } from '../../../facts.ts';
import type { Rule } from '../../../model/program.ts';
import type { TokenOwner } from '../../../token-notes.ts';
import { clearHits, createHits, createStoredPosting, type Hits, hitsBytes } from '../terms/posting.ts';
import { BitmapIntersection } from './bitmap-intersection.ts';
import { clauseRowsOf } from './clause-rows.ts';
import { type FilterAxis, filterAxes } from './filter-axes.ts';
import { MAX_RULES, ResultCache } from './result-cache.ts';
import { type RowSet, RowSets } from './row-sets.ts';
import { segmentAxes } from './segment-axes.ts';

/** Tests the rule at an index. */
export type TestRule = (rule: number) => boolean;

/** What the index needs to know of a verified token, and where it stores what the token hits. */
export interface TokenRows {
  readonly claims: Claims;
  /** May the index store hits in `rows`? */
  readonly isStored: boolean;
  /** Learns how much memory `rows` takes. */
  readonly owner: TokenOwner | undefined;
  /** What the token hits, by axis; `undefined`: not looked up yet. */
  rows: readonly Hits[] | undefined;
}

/** The candidates of one list of rules. */
export interface BitmapIndex {
  /**
   * The first candidate that passes `test`; -1: none. Costs a few lookups and some passes over one bit per row, whatever the policies
   * look like, and the lookups alone when the postings that the request hits are in the result cache.
   * @param token absent: the request has no verified token, or the rules must not read it
   * @param gaveUp the search for path templates already stopped early for this request
   */
  search(facts: RequestFacts, token: TokenRows | undefined, gaveUp: boolean, test: TestRule): number;
}

interface Axis extends FilterAxis {
  /** Position among the axes that depend on the token alone; -1: the axis depends on the request. */
  readonly tokenAxis: number;
  readonly hits: Hits;
  /** What the current request hits: `hits`, or what is stored for its token. */
  found: Hits;
}

/** Most hits that are stored one by one for a token; more are stored as their union. */
const MAX_STORED = 16;

function searchable(axes: readonly FilterAxis[], firstTokenAxis: number): readonly Axis[] {
  let tokenAxes = firstTokenAxis;
  return axes.map((axis) => {
    const hits = createHits();
    return { ...axis, tokenAxis: axis.isToken ? tokenAxes++ : -1, hits, found: hits };
  });
}

/** Builds the index of all rules. */
export function* buildBitmapIndex(rules: readonly Rule[]): Steps<BitmapIndex> {
  const rows = yield* clauseRowsOf(rules);
  yield;
  const sets = new RowSets(rows.length);
  const required = yield* filterAxes(rows, 'anyOf', sets);
  yield;
  const segments = required.some(({ givesUp }) => givesUp) ? yield* segmentAxes(rows, sets) : [];
  const excluded = yield* filterAxes(rows, 'noneOf', sets);
  yield;
  const tokenAxes = required.filter(({ isToken }) => isToken).length;
  const axes = { required: searchable(required, 0), segments: searchable(segments, 0), excluded: searchable(excluded, tokenAxes) };
  return new RowBitmaps(
    axes,
    rows.map(({ rule }) => rule),
    sets,
  );
}

interface Axes {
  readonly required: readonly Axis[];
  readonly segments: readonly Axis[];
  readonly excluded: readonly Axis[];
}

/** Holds the scratch memory of searches, which never overlap. */
class RowBitmaps implements BitmapIndex {
  /** The axes that are always looked up, followed by those of path segments. */
  readonly #required: readonly Axis[];
  readonly #alwaysRequired: number;
  readonly #excluded: readonly Axis[];
  readonly #tokenAxes: readonly Axis[];
  readonly #ruleByRow: Int32Array;
  readonly #all: RowSet;
  readonly #intersection: BitmapIntersection;
  readonly #cache = new ResultCache();
  /** The candidates of the current search. */
  readonly #candidates = new Int32Array(MAX_RULES);

  /** Seals `sets`. */
  constructor({ required, segments, excluded }: Axes, ruleByRow: readonly number[], sets: RowSets) {
    this.#required = [...required, ...segments];
    this.#alwaysRequired = required.length;
    this.#excluded = excluded;
    this.#tokenAxes = [...required, ...excluded].filter(({ tokenAxis }) => tokenAxis !== -1);
    this.#ruleByRow = Int32Array.from(ruleByRow);
    this.#all = sets.createFull();
    this.#intersection = new BitmapIntersection(sets, MAX_RULES);
  }

  search(facts: RequestFacts, token: TokenRows | undefined, gaveUp: boolean, test: TestRule): number {
    const cache = this.#cache;
    const axes = this.#lookUp(facts, token, gaveUp);
    const slot = cache.slot();
    if (slot !== -1 && cache.has(slot)) {
      for (let i = 0, count = cache.count(slot); i < count; i++) {
        const rule = cache.rule(slot, i);
        if (test(rule)) return rule;
      }
      return -1;
    }
    this.#intersect(axes);
    const rows = this.#intersection.list();
    if (rows === -1) return this.#tryAll(test);
    const rules = this.#candidates;
    const count = this.#toRules(rows);
    if (slot !== -1) cache.set(slot, rules, count);
    for (let i = 0; i < count; i++) if (test(rules[i] as number)) return rules[i] as number;
    return -1;
  }

  /** Looks up every axis, and the path segment by segment when its axis gave up. Returns the number of required axes that were looked up. */
  #lookUp(facts: RequestFacts, token: TokenRows | undefined, gaveUp: boolean): number {
    const claims = token?.claims;
    const tokenHits = token?.isStored === true ? (token.rows ??= this.#storedRows(facts, token)) : undefined;
    const required = this.#required;
    const cache = this.#cache;
    cache.begin();
    let count = this.#alwaysRequired;
    for (let i = 0; i < count; i++) {
      const axis = required[i] as Axis;
      axis.found = gaveUp && axis.givesUp ? GAVE_UP : foundFor(axis, facts, claims, tokenHits);
      cache.append(axis.found);
      if (axis.found.isPartial && axis.givesUp) count = required.length;
    }
    for (const axis of this.#excluded) {
      axis.found = foundFor(axis, facts, claims, tokenHits);
      cache.append(axis.found);
    }
    return count;
  }

  /** Leaves the rows that the first `count` required axes and all excluding axes let pass. */
  #intersect(count: number): void {
    const intersection = this.#intersection;
    const required = this.#required;
    const smallest = this.#smallest(count);
    this.#begin(smallest);
    for (let i = 0; i < count && !intersection.isEmpty; i++) {
      const axis = required[i] as Axis;
      if (axis !== smallest && !axis.found.isPartial && !this.#passesAll(axis))
        intersection.intersect(axis.found, axis.freeCount === 0 ? undefined : axis.free);
    }
    for (const { found } of this.#excluded) {
      if (intersection.isEmpty) return;
      intersection.subtract(found);
    }
  }

  /** Is every row either free or hit by one of two postings? Then the axis removes nothing. */
  #passesAll({ found: { count, total, postings }, freeCount, isDisjoint }: Axis): boolean {
    if (!isDisjoint || freeCount + total !== this.#ruleByRow.length) return false;
    return count < 2 || (count === 2 && postings[0] !== postings[1]);
  }

  /** The axis of the first `count` that leaves the fewest rows; starting with it makes the other steps cheap. */
  #smallest(count: number): Axis | undefined {
    let smallest: Axis | undefined;
    let size = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const axis = this.#required[i] as Axis;
      const own = axis.freeCount + axis.found.total;
      if (axis.found.isPartial || own >= size) continue;
      smallest = axis;
      size = own;
    }
    return smallest;
  }

  /** `undefined`: the hits of no axis are known, so every row is left. */
  #begin(axis: Axis | undefined): void {
    if (axis === undefined) this.#intersection.begin(undefined, this.#all);
    else this.#intersection.begin(axis.found, axis.freeCount === 0 ? undefined : axis.free);
  }

  /** Writes the distinct rules of the listed rows to `#candidates`. Returns their number. */
  #toRules(count: number): number {
    const candidates = this.#candidates;
    let rules = 0;
    for (let i = 0; i < count; i++) {
      const rule = this.#ruleByRow[this.#intersection.listed(i)] as number;
      if (rules === 0 || candidates[rules - 1] !== rule) candidates[rules++] = rule;
    }
    return rules;
  }

  #tryAll(test: TestRule): number {
    const ruleByRow = this.#ruleByRow;
    let failed = -1;
    const row = this.#intersection.find((one) => {
      const rule = ruleByRow[one] as number;
      if (rule === failed || !test(rule)) {
        failed = rule;
        return false;
      }
      return true;
    });
    return row === -1 ? -1 : (ruleByRow[row] as number);
  }

  #storedRows(facts: RequestFacts, { claims, owner }: TokenRows): readonly Hits[] {
    const rows = this.#tokenAxes.map((axis) => {
      lookUp(axis, facts, claims);
      return this.#compact(axis.hits);
    });
    for (const hits of rows) owner?.retain(hitsBytes(hits));
    return rows;
  }

  /** A copy that can be stored with a token. */
  #compact(hits: Hits): Hits {
    const { postings, count, total } = hits;
    if (count <= MAX_STORED) return { postings: postings.slice(0, count), count, total, isPartial: false };
    return { postings: [createStoredPosting(this.#intersection.unionOf(hits), total)], count: 1, total, isPartial: false };
  }
}

/** For an axis whose lookup would give up again. */
const GAVE_UP: Hits = { postings: [], count: 0, total: 0, isPartial: true };

function lookUp({ hits, lookups }: Axis, facts: RequestFacts, claims: Claims | undefined): Hits {
  clearHits(hits);
  for (const lookup of lookups) lookup(facts, claims, hits);
  return hits;
}

/** The hits of an axis: those stored with the token if there are any, else looked up. */
function foundFor(axis: Axis, facts: RequestFacts, claims: Claims | undefined, tokenHits: readonly Hits[] | undefined): Hits {
  return axis.tokenAxis === -1 || tokenHits === undefined ? lookUp(axis, facts, claims) : (tokenHits[axis.tokenAxis] as Hits);
}
