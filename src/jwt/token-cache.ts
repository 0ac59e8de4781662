/*
 * Remembers verified tokens of one rule, so that a signature is checked once and not per request. In: a token's exact
 * text. Out: what verification found. One cache belongs to one rule and one key set and dies with them, so a removed key
 * takes its tokens along; time is checked by the caller on every use.
 */

/** What a cache may hold. */
export interface TokenCacheLimits {
  /** Tokens; default 4096. */
  readonly maxEntries: number;
  /** Estimated memory in bytes; default 8 MiB. */
  readonly maxBytes: number;
}

export const DEFAULT_TOKEN_CACHE_LIMITS: TokenCacheLimits = { maxEntries: 4096, maxBytes: 8 * 1024 * 1024 };

/** Characters of a token's end that find it: part of the signature, so as good as random, and cheap to hash. */
const TAIL_LENGTH = 32;
/** Text, payload, parsed claims and output headers come to several times the token; the constant is for objects. */
const BYTES_PER_CHARACTER = 6;
const BYTES_PER_ENTRY = 512;

/**
 * Verified tokens in two generations: when the young one has half of the limits it becomes the old one, and the old one
 * is dropped. A hit in the old one moves to the young one. No order is kept, so a hit costs one look-up.
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

  /** The entry of exactly this text, or `undefined`. */
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

  /** Keeps `entry`, in place of another one with the same tail; one that is larger than the cache is not kept. */
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

  /** Entries held in both generations. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
