/*
 * One byte budget for the verified and refused tokens of a whole process. Every authenticator opens a partition, which no other
 * one reads, and releases it when its keys are replaced, so no token outlives its key. A partition has a pool for each JWT rule.
 * A pool that takes no more than its fair share of the budget loses nothing to the others.
 */
import { LIMITS } from '../limits/agent-limits.ts';
import { type CacheEntry, type PoolOwner, TokenPool } from './token-pool.ts';

/** Length of the token suffix that is the map key: part of the signature, hence as good as random, and cheap to hash. */
const TAIL_LENGTH = 32;
/** Part of the budget, in 1/n, that one entry may take, and that the refused tokens of a partition may take. */
const SMALL_PART = 16;

/** The tokens of one authenticator. */
export class TokenPartition<T extends CacheEntry> implements PoolOwner {
  readonly #cache: TokenCache;
  readonly #entries = new Map<string, T>();
  /** One for each rule. Empty after `release`. */
  #pools: readonly TokenPool[];
  readonly #refused: TokenPool;

  constructor(cache: TokenCache, rules: number) {
    this.#cache = cache;
    this.#pools = Array.from({ length: rules }, () => new TokenPool(this, Number.POSITIVE_INFINITY));
    this.#refused = new TokenPool(this, cache.maxBytes / SMALL_PART);
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  /** All pools; none after `release`. */
  get pools(): readonly TokenPool[] {
    return this.#pools.length === 0 ? [] : [...this.#pools, this.#refused];
  }

  /** The entry of exactly this token; `undefined` when absent. */
  get(text: string): T | undefined {
    const entry = this.#entries.get(text.slice(-TAIL_LENGTH));
    if (entry === undefined || entry.text !== text) return undefined;
    entry.used = true;
    return entry;
  }

  /** Stores an entry under the rule with number `rule`. It replaces an entry with the same suffix. */
  add(entry: T, rule: number): void {
    this.#store(entry, this.#pools[rule]);
  }

  /** Stores an entry for a token that no rule has accepted. It replaces no token that was accepted. */
  addRefused(entry: T): void {
    const present = this.#entries.get(keyOf(entry));
    if (this.#pools.length > 0 && (present === undefined || present.pool === this.#refused)) this.#store(entry, this.#refused);
  }

  /** Removes an entry, to store it again elsewhere. */
  remove(entry: T): void {
    if (entry.pool === undefined) return;
    this.#entries.delete(keyOf(entry));
    this.#cache.remove(entry);
  }

  /** Drops all entries and gives back their memory. Nothing is stored afterwards. */
  release(): void {
    const { pools } = this;
    this.#pools = [];
    this.#entries.clear();
    this.#cache.close(pools);
  }

  grew(pool: TokenPool, bytes: number): void {
    if (this.#pools.length > 0) this.#cache.grew(pool, bytes);
  }

  evicted(entry: CacheEntry): void {
    const key = keyOf(entry);
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  #store(entry: T, pool: TokenPool | undefined): void {
    if (pool === undefined || entry.bytes > this.#cache.maxBytes / SMALL_PART) return;
    const key = keyOf(entry);
    const present = this.#entries.get(key);
    if (present !== undefined) this.#cache.remove(present);
    this.#entries.set(key, entry);
    pool.add(entry);
  }
}

/** A budget, and the pools that share it. */
export class TokenCache {
  readonly maxBytes: number;
  #bytes = 0;
  #evictions = 0;
  #pools: readonly TokenPool[] = [];
  /** Where the search for a pool above its share goes on. */
  #hand = 0;

  constructor(maxBytes: number = LIMITS.tokenCacheBytes.value) {
    this.maxBytes = maxBytes;
  }

  /** Estimated memory of all entries. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of entries. */
  get size(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.size, 0);
  }

  /** Entries that gave way to others so far. */
  get evictions(): number {
    return this.#evictions;
  }

  /** A partition for an authenticator with this number of rules. */
  open<T extends CacheEntry>(rules: number): TokenPartition<T> {
    const partition = new TokenPartition<T>(this, rules);
    this.#pools = [...this.#pools, ...partition.pools];
    return partition;
  }

  /** Gives back the memory of `pools`, whose partition has dropped its entries. */
  close(pools: readonly TokenPool[]): void {
    const closed = new Set(pools);
    this.#pools = this.#pools.filter((pool) => !closed.has(pool));
    for (const pool of pools) this.#bytes -= pool.bytes;
  }

  /** Notes that the entries of `pool` take `bytes` more. Evicts entries until the budget is kept. */
  grew(pool: TokenPool, bytes: number): void {
    this.#bytes += bytes;
    while (pool.bytes > pool.maxBytes) this.#evictFrom(pool);
    while (this.#bytes > this.maxBytes) this.#evictFrom(this.#poolAboveShare(pool));
  }

  /** Removes an entry. */
  remove(entry: CacheEntry): void {
    this.#bytes -= entry.bytes;
    entry.pool?.remove(entry);
  }

  #evictFrom(pool: TokenPool): void {
    this.#bytes -= pool.evict();
    this.#evictions += 1;
  }

  /** `pool` if it is above its share; else the next one that is. There is one, since the budget is exceeded. */
  #poolAboveShare(pool: TokenPool): TokenPool {
    const pools = this.#pools;
    const share = this.maxBytes / pools.length;
    if (pool.bytes > share) return pool;
    for (let tried = 0; tried < pools.length; tried += 1) {
      const other = pools[this.#hand % pools.length] as TokenPool;
      if (other.bytes > share) return other;
      this.#hand = (this.#hand + 1) % pools.length;
    }
    throw new Error('the token cache has lost count of its memory');
  }
}

function keyOf({ text }: CacheEntry): string {
  return text.slice(-TAIL_LENGTH);
}
