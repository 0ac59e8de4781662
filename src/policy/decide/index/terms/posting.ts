/*
 * Sets of ids (of rules or rows) that an index finds for one request. In: ids by key, from the builders of indexes. Out:
 * postings, chained where one match implies another (a longer prefix implies the shorter ones), and the list of postings
 * that a request hit. Used by every file of this folder.
 */
import type { RowSet, RowSets } from './row-sets.ts';

/** Adding rows one by one costs about as much as adding a set of them when there are so many, or so many for each word of a set. */
const MIN_SET = 32;
const MIN_SET_PER_WORD = 0.1;

/** The ids of one match, and by `parent` those of every match that it implies. */
export interface Posting {
  /** Ascending. */
  readonly ids: readonly number[];
  readonly parent: Posting | undefined;
  /** Number of ids in the whole chain. */
  readonly total: number;
  /** The set of the whole chain; `undefined`: so few ids since the last set that they are told one by one. */
  readonly set: RowSet | undefined;
  /** The words of such a set, if it is not held among the others; there are no ids then. */
  readonly kept: Int32Array | undefined;
  /** Ids between here and the next set up the chain. */
  readonly pending: number;
  /** No other posting has the same. */
  readonly serial: number;
}

let serials = 0;

/** The union of what was hit, as words of a set. */
export function createKeptPosting(kept: Int32Array, total: number): Posting {
  return { ids: [], parent: undefined, total, set: undefined, kept, pending: 0, serial: serials++ };
}

/**
 * A posting whose set, if it needs one, is worked out.
 * @param sets where sets are made; `undefined`: the posting is only ever enumerated
 */
export function createPosting(ids: readonly number[], parent: Posting | undefined, sets: RowSets | undefined): Posting {
  const total = ids.length + (parent?.total ?? 0);
  const pending = ids.length + (parent?.pending ?? 0);
  const needsSet = sets !== undefined && pending > Math.max(MIN_SET, sets.words * MIN_SET_PER_WORD);
  const set = needsSet ? setOf(sets, ids, parent) : undefined;
  return { ids, parent, total, set, kept: undefined, pending: needsSet ? 0 : pending, serial: serials++ };
}

function setOf(sets: RowSets, ids: readonly number[], parent: Posting | undefined): RowSet {
  const set = sets.create();
  sets.add(set, ids);
  let link = parent;
  for (; link !== undefined && link.set === undefined; link = link.parent) sets.add(set, link.ids);
  if (link?.set !== undefined) sets.addSet(set, link.set);
  return set;
}

/** Postings that one request hit. Reused from request to request. */
export interface Hits {
  readonly postings: Posting[];
  count: number;
  /** Ids in all of them; one that is in two counts twice. */
  total: number;
  /** There may be more: looking for all of them would have taken too long. */
  isPartial: boolean;
}

export function createHits(): Hits {
  return { postings: [], count: 0, total: 0, isPartial: false };
}

export function clearHits(hits: Hits): void {
  hits.count = 0;
  hits.total = 0;
  hits.isPartial = false;
}

/** Adds a posting; `undefined` is nothing. */
export function addHit(hits: Hits, posting: Posting | undefined): void {
  if (posting === undefined) return;
  hits.postings[hits.count++] = posting;
  hits.total += posting.total;
}

/** Ids by key while an index is built. */
export type IdsByKey<K> = Map<K, number[]>;

/** Adds `id` to the ids of `key`; ids must come in ascending order, and one that comes twice counts once. */
export function addId<K>(idsByKey: IdsByKey<K>, key: K, id: number): void {
  const ids = idsByKey.get(key);
  if (ids === undefined) idsByKey.set(key, [id]);
  else if (ids[ids.length - 1] !== id) ids.push(id);
}
