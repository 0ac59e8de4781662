/*
 * The axes of the bitmap index: the lookups of one attribute, and the rows that do not constrain it. The attributes that most rows
 * constrain have an axis each; the others, of which there may be thousands, share a few.
 */
import type { Steps } from '../../../../steps.ts';
import type { Clause } from '../../../model/program.ts';
import type { Lookup } from '../terms/axis-lookup.ts';
import { type AxisIndex, createLookups } from '../terms/lookups.ts';
import { addLossyMatches, buildRecheckLookup, type LossyDraft } from '../terms/recheck-index.ts';
import { isTokenClause, type ListName } from '../terms/term.ts';
import { addTerm, buildTermIndexInSteps, createIndexDraft, type IndexDraft } from '../terms/term-index.ts';
import type { ClauseRow, Constraint } from './clause-rows.ts';
import type { RowSet, RowSets } from './row-sets.ts';

/** Up to this many attributes have an axis each. */
const MAX_OWN = 12;
/** If there are more attributes, only this many have their own axis, and the others share. */
const MAX_OWN_BESIDE_SHARED = 8;
/** Shared axes for clauses on the token, and as many for the others; what a row requires beyond that is left to its rule's exact test. */
const MAX_SHARED = 2;
const ROWS_PER_STEP = 32;
const TERMS_PER_STEP = 256;

/** One axis of the index. */
export interface FilterAxis {
  readonly lookups: readonly Lookup[];
  /** Does the axis depend on the token alone? */
  readonly isToken: boolean;
  /** May a lookup give up before it has found all hits? */
  readonly givesUp: boolean;
  /** Rows that do not constrain the axis, and their number; unused for an excluding axis. */
  readonly free: RowSet;
  readonly freeCount: number;
  /** Is every row in the postings of at most one match? */
  readonly isDisjoint: boolean;
}

/** One attribute of an axis. */
interface Member {
  readonly clause: Clause;
  readonly index: IndexDraft;
  readonly lossy: LossyDraft;
}

interface AxisDraft {
  readonly isToken: boolean;
  readonly members: Map<string, Member>;
  readonly rows: number[];
  isDisjoint: boolean;
}

/** The axes of one list (`anyOf` or `noneOf`) of all rows, without those for path segments. */
export function* filterAxes(rows: readonly ClauseRow[], list: ListName, sets: RowSets): Steps<readonly FilterAxis[]> {
  const drafts = new AxisDrafts(list, countRows(rows, list));
  for (const [id, row] of rows.entries()) {
    if (id % ROWS_PER_STEP === 0) yield;
    yield* drafts.add(row[list], id);
  }
  const axes: FilterAxis[] = [];
  for (const draft of drafts.all()) axes.push(yield* finish(draft, sets));
  return axes;
}

function countRows(rows: readonly ClauseRow[], list: ListName): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) for (const key of row[list].keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function ownAxes(counts: ReadonlyMap<string, number>): ReadonlySet<string> {
  if (counts.size <= MAX_OWN) return new Set(counts.keys());
  const sorted = [...counts].sort(([, left], [, right]) => right - left);
  return new Set(sorted.slice(0, MAX_OWN_BESIDE_SHARED).map(([key]) => key));
}

/** The axes of one list while rows are added, which must happen in ascending order. */
class AxisDrafts {
  readonly #list: ListName;
  /** Number of rows that constrain each attribute. */
  readonly #counts: ReadonlyMap<string, number>;
  /** Attributes that do not share their axis. */
  readonly #own: ReadonlySet<string>;
  readonly #drafts = new Map<string, AxisDraft>();

  constructor(list: ListName, counts: ReadonlyMap<string, number>) {
    this.#list = list;
    this.#counts = counts;
    // Excluded rows are subtracted in one step, whichever attribute excludes them, so all attributes share one axis.
    this.#own = list === 'anyOf' ? ownAxes(counts) : new Set();
  }

  all(): Iterable<AxisDraft> {
    return this.#drafts.values();
  }

  *add(constraints: ClauseRow[ListName], id: number): Steps<void> {
    const shared: [string, Constraint][] = [];
    for (const [key, constraint] of constraints) {
      if (this.#own.has(key)) yield* this.#addTo(this.#axis(key, constraint), key, constraint, id);
      else shared.push([key, constraint]);
    }
    if (shared.length > 0) yield* this.#addShared(shared, id);
  }

  /** Of `anyOf`, a row puts at most one constraint on each shared axis, the rarest first; of `noneOf`, all go on one axis. */
  *#addShared(shared: readonly [string, Constraint][], id: number): Steps<void> {
    const used = { token: 0, request: 0 };
    const countOf = (key: string): number => this.#counts.get(key) as number;
    for (const [key, constraint] of shared.toSorted(([left], [right]) => countOf(left) - countOf(right))) {
      const kind = isTokenClause(constraint.clause) ? 'token' : 'request';
      const at = used[kind];
      if (at === MAX_SHARED) continue;
      yield* this.#addTo(this.#axis(`shared ${kind} ${at}`, constraint), key, constraint, id);
      if (this.#list === 'anyOf') used[kind] = at + 1;
    }
  }

  #axis(name: string, { clause }: Constraint): AxisDraft {
    let axis = this.#drafts.get(name);
    if (axis === undefined) {
      axis = { isToken: isTokenClause(clause), members: new Map(), rows: [], isDisjoint: true };
      this.#drafts.set(name, axis);
    }
    return axis;
  }

  *#addTo(axis: AxisDraft, key: string, { clause, terms }: Constraint, id: number): Steps<void> {
    const { members, rows } = axis;
    let member = members.get(key);
    if (member === undefined) {
      member = { clause, index: createIndexDraft(), lossy: new Map() };
      members.set(key, member);
    }
    if (rows.at(-1) === id || terms.length !== 1) axis.isDisjoint = false;
    if (rows.at(-1) !== id) rows.push(id);
    const list = this.#list;
    // An `anyOf` term may find too much; a `noneOf` term must find exactly what the clause excludes.
    for (const [at, term] of terms.entries()) {
      if (at % TERMS_PER_STEP === TERMS_PER_STEP - 1) yield;
      if (list === 'anyOf' || term.exact) addTerm(member.index, term, id);
    }
    if (list === 'noneOf' && !terms.every(({ exact }) => exact)) addLossyMatches(member.lossy, clause, list, id);
  }
}

/** All rows except `constrained`. */
export function freeExcept(constrained: readonly number[], sets: RowSets): Pick<FilterAxis, 'free' | 'freeCount'> {
  const free = sets.createFull();
  sets.remove(free, constrained);
  return { free, freeCount: sets.rowCount - constrained.length };
}

function* finish({ isToken, members, rows, isDisjoint }: AxisDraft, sets: RowSets): Steps<FilterAxis> {
  const indexed: AxisIndex[] = [];
  for (const { clause, index } of members.values()) indexed.push({ clause, index: yield* buildTermIndexInSteps(index, sets) });
  const lookups = [...createLookups(indexed)];
  for (const { lossy } of members.values()) {
    const lookup = buildRecheckLookup(lossy, sets);
    yield;
    if (lookup !== undefined) lookups.push(lookup);
  }
  const givesUp = indexed.some(({ index }) => index.templates?.givesUp === true);
  return { lookups, isToken, givesUp, ...freeExcept(rows, sets), isDisjoint };
}
