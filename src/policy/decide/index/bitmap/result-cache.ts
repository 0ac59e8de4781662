/*
 * Caches the candidate rules of recent searches. They depend only on the postings that a request hits, so these are the key. The
 * cache has a fixed size; a new entry replaces the one in the same slot.
 */
import type { Hits } from '../terms/posting.ts';

const SLOT_BITS = 7;
const SLOTS = 1 << SLOT_BITS;
/** Longest key, in postings; longer ones are not cached. */
const MAX_HITS = 64;
/** Most rules of one entry. */
export const MAX_RULES = 128;
/** Stands in a key for an axis whose hits are not known. */
const UNKNOWN = -1;

/** Rules by the postings that were hit. The key is built first, axis by axis, always in the same order. */
export class ResultCache {
  // Doubles, so that serials of postings never wrap around to a number in use.
  readonly #key = new Float64Array(MAX_HITS);
  #length = 0;
  #hash = 0;
  /** By slot: the key and its length + 1; 0 is an empty slot. */
  readonly #keys = new Float64Array(SLOTS * MAX_HITS);
  readonly #lengths = new Int32Array(SLOTS);
  readonly #rules = new Int32Array(SLOTS * MAX_RULES);
  readonly #counts = new Int32Array(SLOTS);

  /** Starts a new key. */
  begin(): void {
    this.#length = 0;
    this.#hash = 0;
  }

  /** Appends the hits of the next axis to the key. */
  append({ postings, count, isPartial }: Hits): void {
    for (let i = 0; i < count; i++) this.#add((postings[i] as Hits['postings'][number]).serial);
    if (isPartial) this.#add(UNKNOWN);
  }

  /** The slot of the key; -1: the key is too long to be cached. */
  slot(): number {
    return this.#length > MAX_HITS ? -1 : this.#hash >>> (32 - SLOT_BITS);
  }

  /** Does the slot hold an entry for the key? */
  has(slot: number): boolean {
    const length = this.#length;
    if (this.#lengths[slot] !== length + 1) return false;
    const keys = this.#keys;
    for (let i = 0, at = slot * MAX_HITS; i < length; i++, at++) if (keys[at] !== this.#key[i]) return false;
    return true;
  }

  /** Number of rules in a slot. */
  count(slot: number): number {
    return this.#counts[slot] as number;
  }

  /** The rule at `index` of a slot. */
  rule(slot: number, index: number): number {
    return this.#rules[slot * MAX_RULES + index] as number;
  }

  /** Stores the first `count` rules under the key. */
  set(slot: number, rules: Int32Array, count: number): void {
    const keys = this.#keys;
    for (let i = 0, at = slot * MAX_HITS; i < this.#length; i++, at++) keys[at] = this.#key[i] as number;
    // Length + 1, because 0 marks an empty slot and a key may be empty.
    this.#lengths[slot] = this.#length + 1;
    const all = this.#rules;
    for (let i = 0, at = slot * MAX_RULES; i < count; i++, at++) all[at] = rules[i] as number;
    this.#counts[slot] = count;
  }

  #add(serial: number): void {
    if (this.#length < MAX_HITS) this.#key[this.#length] = serial;
    this.#length++;
    this.#hash = Math.imul((this.#hash << 5) ^ (this.#hash >>> 27) ^ serial, 0x9e3779b1);
  }
}
