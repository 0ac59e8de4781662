/*
 * A pattern as a deterministic automaton that is built while it is used. Automata outlive one search, so that searches over the same
 * patterns share what they have built.
 */
import type { Pattern } from './pattern.ts';

/** No continuation matches. */
export const DEAD = -1;
/** The state before the first character. */
export const START = 0;

/** A state of an automaton: the elements that may come next; the length of the pattern when the text so far matches. */
interface AutomatonState {
  readonly positions: readonly number[];
  readonly next: Map<number, number>;
  readonly accepts: boolean;
  /** Every continuation matches, too. */
  readonly isSaturated: boolean;
  /** Characters that the pattern distinguishes from others of their class. */
  readonly awaited: readonly number[];
}

/** The automaton of one pattern. States are numbers. */
export class Automaton {
  readonly #pattern: Pattern;
  readonly #states: AutomatonState[] = [];
  readonly #idByPositions: Map<string, number> = new Map<string, number>();

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
    this.#intern(this.#closure([0]));
  }

  /** The state after one more character, or {@link DEAD}. */
  advance(state: number, code: number): number {
    const { positions, next } = this.#at(state);
    const known = next.get(code);
    if (known !== undefined) return known;
    const reached: number[] = [];
    for (const at of positions) {
      const element = this.#pattern[at];
      if (element?.has(code) === true) reached.push(element.repeats ? at : at + 1);
    }
    const id = reached.length === 0 ? DEAD : this.#intern(this.#closure(reached));
    next.set(code, id);
    return id;
  }

  /** Does the text so far match? */
  accepts(state: number): boolean {
    return this.#at(state).accepts;
  }

  /** Does the text so far match, whatever follows? */
  isSaturated(state: number): boolean {
    return this.#at(state).isSaturated;
  }

  /** The characters that the pattern waits for by name. */
  awaited(state: number): readonly number[] {
    return this.#at(state).awaited;
  }

  #at(state: number): AutomatonState {
    return this.#states[state] as AutomatonState;
  }

  #closure(positions: readonly number[]): readonly number[] {
    const all = new Set<number>();
    for (const from of positions) {
      let at = from;
      all.add(at);
      while (this.#pattern[at]?.repeats === true) all.add(++at);
    }
    return [...all].sort((one, other) => one - other);
  }

  #intern(positions: readonly number[]): number {
    // Behind a last element that accepts everything, nothing else matters.
    const last = this.#pattern.length - 1;
    const element = this.#pattern[last];
    const isSaturated = element?.repeats === true && element.isUniversal === true && positions.includes(last);
    const kept = isSaturated ? [last, last + 1] : positions;
    const key = kept.join();
    const known = this.#idByPositions.get(key);
    if (known !== undefined) return known;
    const id = this.#states.length;
    const awaited = [...new Set(kept.flatMap((at) => this.#pattern[at]?.codes ?? []))];
    this.#states.push({ positions: kept, next: new Map(), accepts: kept.at(-1) === this.#pattern.length, isSaturated, awaited });
    this.#idByPositions.set(key, id);
    return id;
  }
}

const automata = new WeakMap<Pattern, Automaton>();

/** The automaton of a pattern; the same one for the same object. */
export function automatonOf(pattern: Pattern): Automaton {
  const known = automata.get(pattern);
  if (known !== undefined) return known;
  const created = new Automaton(pattern);
  automata.set(pattern, created);
  return created;
}
