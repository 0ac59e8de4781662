/*
 * Caches the verified tokens of one rule, so that a signature is verified once instead of on every request. A cache belongs to
 * one rule and one key set and is dropped with them, so no token outlives its key. The caller checks the time on every use.
 */

/** Limits of one cache. */
export interface TokenCacheLimits {
  /** Number of tokens; default 4096. */
  readonly maxEntries: number;
  /** Estimated memory in bytes; default 8 MiB. */
  readonly maxBytes: number;
}

/** Used when a chain sets no limits. */
export const DEFAULT_TOKEN_CACHE_LIMITS: TokenCacheLimits = { maxEntries: 4096, maxBytes: 8 * 1024 * 1024 };

/** Length of the token suffix that is the map key: part of the signature, hence as good as random, and cheap to hash. */
const TAIL_LENGTH = 32;
/** Estimate for the token, its payload, parsed claims and output headers; the second constant is for the objects. */
const BYTES_PER_CHARACTER = 6;
const BYTES_PER_ENTRY = 512;

/**
 * Verified tokens in two generations: when the young one reaches half of the limits it becomes the old one, and the old one is
 * dropped. A hit in the old generation moves the entry to the young one. No order is kept, so a hit costs one map lookup.
 */
export class TokenCache<T extends { readonly text: string }> {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #young: Map<string, T> = new Map();
  #old: Map<string, T> = new Map();
  #youngBytes = 0;

  constructor(limits: TokenCacheLimits = DEFAULT_TOKEN_CACHE_LIMITS) {
    this.#maxEntries = limits.maxEntries / 2;
    this.#maxBytes = limits.maxBytes / 2;
  }

  /** The entry of exactly this token; `undefined` when absent. */
  get(text: string): T | undefined {
    const tail = text.slice(-TAIL_LENGTH);
    const young = this.#young.get(tail);
    if (young !== undefined) {
      return young.text === text ? young : undefined;
    }
    const old = this.#old.get(tail);
    if (old === undefined || old.text !== text) {
      return undefined;
    }
    this.add(old);
    return old;
  }

  /** Stores `entry`; it replaces an entry with the same suffix. An entry larger than the cache is not stored. */
  add(entry: T): void {
    const bytes = entry.text.length * BYTES_PER_CHARACTER + BYTES_PER_ENTRY;
    if (bytes > this.#maxBytes || this.#maxEntries < 1) {
      return;
    }
    if (this.#young.size + 1 > this.#maxEntries || this.#youngBytes + bytes > this.#maxBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(entry.text.slice(-TAIL_LENGTH), entry);
    this.#youngBytes += bytes;
  }

  /** Number of entries in both generations. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
