/*
 * Postings: the ids (of rules or rows) that an index holds for one match. Postings are chained where one match implies another: a
 * longer prefix implies the shorter ones.
 */

/** Handle of a bitmap of ids. */
export type IdSet = number;

/** Creates bitmaps of ids. Implemented by the bitmap index; postings that are only enumerated need none. */
export interface IdSets {
  /** Length of a bitmap in 32-bit words. */
  readonly words: number;
  /** A new empty bitmap. */
  create(): IdSet;
  /** Adds ids to a bitmap. */
  add(set: IdSet, ids: readonly number[]): void;
  /** Adds all ids of another bitmap. */
  addSet(set: IdSet, other: IdSet): void;
}

/** Below this many ids, or this many per word of a bitmap, adding them one by one costs less than adding a bitmap of them. */
const MIN_SET = 32;
const MIN_SET_PER_WORD = 0.1;

/** The ids of one match and, through `parent`, those of every match that it implies. */
export interface Posting {
  /** Ascending. */
  readonly ids: readonly number[];
  readonly parent: Posting | undefined;
  /** Number of ids in the whole chain. */
  readonly total: number;
  /** The ids of the whole chain. `undefined`: there are few ids up to the next bitmap in the chain, so that they are added one by one. */
  readonly set: IdSet | undefined;
  /** A bitmap that is stored outside of the {@link IdSets}, as words; `ids` is empty then. */
  readonly stored: Int32Array | undefined;
  /** Number of ids from here to the next bitmap up the chain. */
  readonly pending: number;
  /** Unique among all postings of the process. */
  readonly serial: number;
}

let serials = 0;

/** A posting for the union of several, which is given as the words of a bitmap. */
export function createStoredPosting(stored: Int32Array, total: number): Posting {
  return { ids: [], parent: undefined, total, set: undefined, stored, pending: 0, serial: serials++ };
}

/**
 * A posting, with its bitmap if it is long enough to need one.
 * @param sets where bitmaps are created; `undefined`: the posting is only enumerated
 */
export function createPosting(ids: readonly number[], parent: Posting | undefined, sets: IdSets | undefined): Posting {
  const total = ids.length + (parent?.total ?? 0);
  const pending = ids.length + (parent?.pending ?? 0);
  const needsSet = sets !== undefined && pending > Math.max(MIN_SET, sets.words * MIN_SET_PER_WORD);
  const set = needsSet ? setOf(sets, ids, parent) : undefined;
  return { ids, parent, total, set, stored: undefined, pending: needsSet ? 0 : pending, serial: serials++ };
}

function setOf(sets: IdSets, ids: readonly number[], parent: Posting | undefined): IdSet {
  const set = sets.create();
  sets.add(set, ids);
  let link = parent;
  for (; link !== undefined && link.set === undefined; link = link.parent) sets.add(set, link.ids);
  if (link?.set !== undefined) sets.addSet(set, link.set);
  return set;
}

/** The postings that one request hits. Reused from request to request. */
export interface Hits {
  readonly postings: Posting[];
  count: number;
  /** Number of ids in all postings; an id that is in two of them counts twice. */
  total: number;
  /** The search stopped early because it would have taken too long; there may be more hits. */
  isPartial: boolean;
}

/** An empty list of hits. */
export function createHits(): Hits {
  return { postings: [], count: 0, total: 0, isPartial: false };
}

/** Empties a list of hits. */
export function clearHits(hits: Hits): void {
  hits.count = 0;
  hits.total = 0;
  hits.isPartial = false;
}

/** Adds a posting; `undefined` adds nothing. */
export function addHit(hits: Hits, posting: Posting | undefined): void {
  if (posting === undefined) return;
  hits.postings[hits.count++] = posting;
  hits.total += posting.total;
}

/** Memory of hits that are kept, and of the bitmaps that belong to them alone. */
export function hitsBytes({ postings }: Hits): number {
  let bytes = 128 + postings.length * 8;
  for (const { stored } of postings) if (stored !== undefined) bytes += 320 + stored.byteLength;
  return bytes;
}

/** Ids by key, while an index is built. */
export type IdsByKey<K> = Map<K, number[]>;

/** Adds `id` to the ids of `key`. Ids must be added in ascending order; a repeated id is added once. */
export function addId<K>(idsByKey: IdsByKey<K>, key: K, id: number): void {
  const ids = idsByKey.get(key);
  if (ids === undefined) idsByKey.set(key, [id]);
  else if (ids[ids.length - 1] !== id) ids.push(id);
}
