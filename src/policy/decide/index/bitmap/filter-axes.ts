/*
 * The axes of the row filter: what a request is looked up in, and which rows do not care. In: rows. Out: one axis for each of the
 * attributes that most rows ask for; the others, of which there may be thousands, share a few. Used by the row filter.
 */
import type { Clause } from '../../model/program.ts';
import type { Lookup } from './axis.ts';
import { createLookups } from './lookups.ts';
import { addLooseMatches, buildLooseLookup, type LooseDraft } from './loose-index.ts';
import type { RowSet, RowSets } from './row-sets.ts';
import type { Constraint, Row } from './rows.ts';
import { isTokenClause, type ListName } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft, type IndexDraft } from './term-index.ts';

/** Up to so many axes have rows of bits of their own. */
const MAX_OWN = 12;
/** If there are more, only so many have, and the others share. */
const MAX_OWN_BESIDE_SHARED = 8;
/** Shared axes for clauses on the token, and as many for the rest; what a row asks for beyond them is left to its rule's own test. */
const MAX_SHARED = 2;

export interface FilterAxis {
  readonly lookups: readonly Lookup[];
  /** Does the axis depend on the token alone? */
  readonly isToken: boolean;
  /** May a lookup give up before it has found all? */
  readonly givesUp: boolean;
  /** Rows that do not care, and their number; those of an excluding axis are not asked for. */
  readonly free: RowSet;
  readonly freeCount: number;
  /** Can no two matches find the same row? */
  readonly isDisjoint: boolean;
}

/** What one attribute brings to an axis. */
interface Member {
  readonly clause: Clause;
  readonly index: IndexDraft;
  readonly loose: LooseDraft;
}

interface AxisDraft {
  readonly isToken: boolean;
  readonly members: Map<string, Member>;
  readonly rows: number[];
  isDisjoint: boolean;
}

/** The axes of one list of all rows, but for the segments of templates. */
export function filterAxes(rows: readonly Row[], list: ListName, sets: RowSets): readonly FilterAxis[] {
  const drafts = new AxisDrafts(list, countRows(rows, list));
  for (const [id, row] of rows.entries()) drafts.add(row[list], id);
  return Array.from(drafts.all(), (draft) => finish(draft, sets));
}

function countRows(rows: readonly Row[], list: ListName): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) for (const key of row[list].keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function ownAxes(counts: ReadonlyMap<string, number>): ReadonlySet<string> {
  if (counts.size <= MAX_OWN) return new Set(counts.keys());
  const sorted = [...counts].sort(([, left], [, right]) => right - left);
  return new Set(sorted.slice(0, MAX_OWN_BESIDE_SHARED).map(([key]) => key));
}

/** The axes of one list while rows are added, in ascending order. */
class AxisDrafts {
  readonly #list: ListName;
  /** Rows that ask for each attribute. */
  readonly #counts: ReadonlyMap<string, number>;
  /** Attributes with an axis of their own. */
  readonly #own: ReadonlySet<string>;
  readonly #drafts = new Map<string, AxisDraft>();

  constructor(list: ListName, counts: ReadonlyMap<string, number>) {
    this.#list = list;
    this.#counts = counts;
    // What is excluded is taken away at once, whatever says so.
    this.#own = list === 'anyOf' ? ownAxes(counts) : new Set();
  }

  all(): Iterable<AxisDraft> {
    return this.#drafts.values();
  }

  add(constraints: Row[ListName], id: number): void {
    const shared: [string, Constraint][] = [];
    for (const [key, constraint] of constraints) {
      if (this.#own.has(key)) this.#addTo(this.#axis(key, constraint), key, constraint, id);
      else shared.push([key, constraint]);
    }
    if (shared.length > 0) this.#addShared(shared, id);
  }

  /** A row wants one thing of each axis at most, and the rarest first; what it excludes may all stand on one axis. */
  #addShared(shared: readonly [string, Constraint][], id: number): void {
    const used = { token: 0, request: 0 };
    const countOf = (key: string): number => this.#counts.get(key) as number;
    for (const [key, constraint] of shared.toSorted(([left], [right]) => countOf(left) - countOf(right))) {
      const kind = isTokenClause(constraint.clause) ? 'token' : 'request';
      const at = used[kind];
      if (at === MAX_SHARED) continue;
      this.#addTo(this.#axis(`shared ${kind} ${at}`, constraint), key, constraint, id);
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

  #addTo(axis: AxisDraft, key: string, { clause, terms }: Constraint, id: number): void {
    const { members, rows } = axis;
    let member = members.get(key);
    if (member === undefined) {
      member = { clause, index: createIndexDraft(), loose: new Map() };
      members.set(key, member);
    }
    if (rows.at(-1) === id || terms.length !== 1) axis.isDisjoint = false;
    if (rows.at(-1) !== id) rows.push(id);
    const list = this.#list;
    // What is excluded must be exactly what a clause excludes; what is wanted may be more.
    for (const term of terms) if (list === 'anyOf' || term.exact) addTerm(member.index, term, id);
    if (list === 'noneOf' && !terms.every(({ exact }) => exact)) addLooseMatches(member.loose, clause, list, id);
  }
}

/** The rows that do not ask, by those that do. */
export function freeBut(asking: readonly number[], sets: RowSets): Pick<FilterAxis, 'free' | 'freeCount'> {
  const free = sets.createFull();
  sets.remove(free, asking);
  return { free, freeCount: sets.rowCount - asking.length };
}

function finish({ isToken, members, rows, isDisjoint }: AxisDraft, sets: RowSets): FilterAxis {
  const indexed = Array.from(members.values(), ({ clause, index }) => ({ clause, index: buildTermIndex(index, sets) }));
  const lookups = [...createLookups(indexed)];
  for (const { loose } of members.values()) {
    const lookup = buildLooseLookup(loose, sets);
    if (lookup !== undefined) lookups.push(lookup);
  }
  const givesUp = indexed.some(({ index }) => index.templates?.givesUp === true);
  return { lookups, isToken, givesUp, ...freeBut(rows, sets), isDisjoint };
}
