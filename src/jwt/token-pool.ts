/*
 * The cached tokens of one JWT rule: which of them gives way when the budget is used up. Every operation takes constant time.
 */

import { LIMITS } from '../limits/agent-limits.ts';

/** Part of a pool, in 1/n, that is left to tokens that were not seen again yet. */
const PROBATION_PART = 5;
/** Most entries that one eviction keeps because they were used. */
const MAX_KEPT = LIMITS.tokensKeptByEviction.value;

/** What a pool reports to. */
export interface PoolOwner {
  /** The entries of `pool` take `bytes` more. */
  grew(pool: TokenPool, bytes: number): void;
  /** `entry` was evicted. */
  evicted(entry: CacheEntry): void;
}

/** An entry of a pool, which is also its link in a list. */
export class CacheEntry {
  /** The token. */
  readonly text: string;
  /** Estimated memory in bytes, including what {@link retain} added. */
  bytes: number;
  /** It was read since it was stored or last considered for eviction. */
  used = false;
  /** Undefined: not stored. */
  pool: TokenPool | undefined = undefined;
  list: EntryList | undefined = undefined;
  previous: CacheEntry | undefined = undefined;
  next: CacheEntry | undefined = undefined;

  constructor(text: string, bytes: number) {
    this.text = text;
    this.bytes = bytes;
  }

  /** Adds memory that was attached to the entry. This may evict this or other entries. */
  retain(bytes: number): void {
    this.bytes += bytes;
    if (this.list !== undefined) this.list.bytes += bytes;
    this.pool?.owner.grew(this.pool, bytes);
  }
}

/** Entries in the order in which they were added. */
export class EntryList {
  /** Of all entries. */
  bytes = 0;
  /** Number of entries. */
  size = 0;
  #first: CacheEntry | undefined;
  #last: CacheEntry | undefined;

  /** Adds an entry at the end. */
  push(entry: CacheEntry): void {
    entry.list = this;
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.size += 1;
    this.bytes += entry.bytes;
  }

  /** Takes the oldest entry. */
  shift(): CacheEntry | undefined {
    const entry = this.#first;
    if (entry !== undefined) this.remove(entry);
    return entry;
  }

  /** Removes an entry of this list. */
  remove(entry: CacheEntry): void {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    entry.list = undefined;
    entry.previous = undefined;
    entry.next = undefined;
    this.size -= 1;
    this.bytes -= entry.bytes;
  }
}

/**
 * New entries are on probation: they give way to each other, and one that is read again moves to the entries in use. Those are a
 * clock: an entry that was read since the last round stays for another one. So tokens that never come back displace no others.
 */
export class TokenPool {
  readonly owner: PoolOwner;
  /** Largest size in bytes, however little the other pools take. */
  readonly maxBytes: number;
  readonly #probation = new EntryList();
  readonly #inUse = new EntryList();

  constructor(owner: PoolOwner, maxBytes: number) {
    this.owner = owner;
    this.maxBytes = maxBytes;
  }

  /** Of all entries. */
  get bytes(): number {
    return this.#probation.bytes + this.#inUse.bytes;
  }

  /** Number of entries. */
  get size(): number {
    return this.#probation.size + this.#inUse.size;
  }

  /** Stores `entry`; `owner` is notified of its size. */
  add(entry: CacheEntry): void {
    entry.pool = this;
    this.#probation.push(entry);
    this.owner.grew(this, entry.bytes);
  }

  /** Removes an entry of this pool. */
  remove(entry: CacheEntry): void {
    entry.list?.remove(entry);
    entry.pool = undefined;
  }

  /** Removes the entry that is worth least. @returns its size; 0: the pool is empty */
  evict(): number {
    for (let kept = 0; ; kept += 1) {
      const entry = this.#victims().shift();
      if (entry === undefined) return 0;
      if (entry.used && kept < MAX_KEPT) {
        entry.used = false;
        this.#inUse.push(entry);
        continue;
      }
      entry.pool = undefined;
      this.owner.evicted(entry);
      return entry.bytes;
    }
  }

  #victims(): EntryList {
    return this.#probation.bytes * PROBATION_PART > this.bytes || this.#inUse.bytes === 0 ? this.#probation : this.#inUse;
  }
}
