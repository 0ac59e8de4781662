/*
 * Sets of ids (of rules or rows) that an index finds for one request. In: ids by key, from the builders of indexes. Out:
 * postings, chained where one match implies another (a longer prefix implies the shorter ones), and the list of postings
 * that a request hit. Used by every file of this folder.
 */

/** Setting single bits costs about as much as two words of a union; but a long chain is many steps, too. */
const MIN_SCATTER = 32;
const SCATTER_PER_WORD = 0.5;

/** The ids of one match, and by `parent` those of every match that it implies. */
export interface Posting {
  /** Ascending. */
  readonly ids: readonly number[];
  readonly parent: Posting | undefined;
  /** Number of ids in the whole chain. */
  readonly total: number;
  /** Bits of the whole chain; `undefined`: so few ids since the last bits that they are told one by one. */
  readonly bits: Int32Array | undefined;
  /** Ids between here and the next bits up the chain. */
  readonly pending: number;
  /** No other posting has the same. */
  readonly serial: number;
}

let serials = 0;

/** The union of what was hit, as one posting that may be kept. */
export function uniteHits({ postings, count, total }: Hits, words: number): Posting {
  const bits = new Int32Array(words);
  for (let i = 0; i < count; i++) addPosting(bits, postings[i] as Posting);
  return { ids: [], parent: undefined, total, bits, pending: 0, serial: serials++ };
}

/**
 * A posting whose bits, if it needs any, are worked out.
 * @param words 32-bit words that hold all ids; 0: the posting is only ever enumerated
 */
export function createPosting(ids: readonly number[], parent: Posting | undefined, words: number): Posting {
  const total = ids.length + (parent?.total ?? 0);
  const pending = ids.length + (parent?.pending ?? 0);
  const serial = serials++;
  if (words === 0 || pending <= Math.max(MIN_SCATTER, words * SCATTER_PER_WORD))
    return { ids, parent, total, bits: undefined, pending, serial };
  const bits = new Int32Array(words);
  if (parent !== undefined) addPosting(bits, parent);
  setBits(bits, ids);
  return { ids, parent, total, bits, pending: 0, serial };
}

/** Sets the bit of each id. */
export function setBits(words: Int32Array, ids: readonly number[]): void {
  for (const id of ids) {
    const at = id >>> 5;
    words[at] = (words[at] as number) | (1 << (id & 31));
  }
}

/** Adds all ids of a chain to `words`. */
export function addPosting(words: Int32Array, posting: Posting): void {
  for (let link: Posting | undefined = posting; link !== undefined; link = link.parent) {
    const { bits } = link;
    if (bits !== undefined) {
      addBits(words, bits);
      return;
    }
    setBits(words, link.ids);
  }
}

function addBits(words: Int32Array, bits: Int32Array): void {
  const { length } = words;
  for (let i = 0; i < length; i++) words[i] = (words[i] as number) | (bits[i] as number);
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
