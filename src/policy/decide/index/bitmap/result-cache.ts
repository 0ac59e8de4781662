/*
 * What a row filter found for requests that hit the same. In: the postings that a request hit. Out: the rules that may match, if a
 * request that hit exactly these was asked before. Its size is fixed; a new answer takes the place of one that falls on the same
 * slot. Used by the row filter.
 */
import type { Hits } from './posting.ts';

const SLOT_BITS = 7;
const SLOTS = 1 << SLOT_BITS;
/** Requests that hit more are not remembered. */
const MAX_HITS = 64;
/** Rules of one answer. */
export const MAX_RULES = 128;
/** Stands for an axis that could not be told. */
const UNKNOWN = -1;

/** Answers by what was hit. A question is noted first, axis by axis, in the same order every time. */
export class Answers {
  // Doubles: serials of postings must never come round to the same number.
  readonly #question = new Float64Array(MAX_HITS);
  #length = 0;
  #hash = 0;
  /** By slot: the question and its length; 0: none. */
  readonly #questions = new Float64Array(SLOTS * MAX_HITS);
  readonly #lengths = new Int32Array(SLOTS);
  readonly #rules = new Int32Array(SLOTS * MAX_RULES);
  readonly #counts = new Int32Array(SLOTS);

  /** Begins a question. */
  begin(): void {
    this.#length = 0;
    this.#hash = 0;
  }

  /** Notes what was hit on the next axis. */
  note({ postings, count, isPartial }: Hits): void {
    for (let i = 0; i < count; i++) this.#add((postings[i] as Hits['postings'][number]).serial);
    if (isPartial) this.#add(UNKNOWN);
  }

  /** The slot of the question; -1: it is too long to be remembered. */
  slot(): number {
    return this.#length > MAX_HITS ? -1 : this.#hash >>> (32 - SLOT_BITS);
  }

  /** Does the slot hold an answer to the question? */
  isKnown(slot: number): boolean {
    const length = this.#length;
    if (this.#lengths[slot] !== length + 1) return false;
    const questions = this.#questions;
    for (let i = 0, at = slot * MAX_HITS; i < length; i++, at++) if (questions[at] !== this.#question[i]) return false;
    return true;
  }

  /** Number of rules in a slot. */
  count(slot: number): number {
    return this.#counts[slot] as number;
  }

  /** The rule at an index of a slot's answer. */
  rule(slot: number, index: number): number {
    return this.#rules[slot * MAX_RULES + index] as number;
  }

  /** Keeps the answer to the question. */
  keep(slot: number, rules: Int32Array, count: number): void {
    const questions = this.#questions;
    for (let i = 0, at = slot * MAX_HITS; i < this.#length; i++, at++) questions[at] = this.#question[i] as number;
    // One more than the length: 0 is an empty slot, and a question may be empty.
    this.#lengths[slot] = this.#length + 1;
    const all = this.#rules;
    for (let i = 0, at = slot * MAX_RULES; i < count; i++, at++) all[at] = rules[i] as number;
    this.#counts[slot] = count;
  }

  #add(serial: number): void {
    if (this.#length < MAX_HITS) this.#question[this.#length] = serial;
    this.#length++;
    this.#hash = Math.imul((this.#hash << 5) ^ (this.#hash >>> 27) ^ serial, 0x9e3779b1);
  }
}
