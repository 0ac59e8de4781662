/*
 * Decides whether a string exists that matches at least one pattern of every positive list and no negative one, and gives a shortest one. It
 * walks the product of the patterns' position sets, breadth first; characters that no pattern distinguishes are tried once.
 */
import { type Automaton, automatonOf, DEAD, START } from './automaton.ts';
import type { Budget } from './budget.ts';
import { classOf, type Pattern } from './pattern.ts';

/** The strings that an attribute can have. */
export interface StringDomain {
  /** Every character that may occur, preferred ones first. */
  readonly alphabet: readonly number[];
  /** The alphabet has every UTF-16 code unit. */
  readonly hasAny?: boolean;
  /** Each string matches one of these. */
  readonly accepted?: readonly Pattern[];
  /** No string matches any of these. */
  readonly rejected: readonly Pattern[];
  /** Equal for characters that only patterns which name them distinguish. Absent: as for any domain. */
  readonly classOf?: (code: number) => number;
}

/** Lists of patterns that a string must and must not match. */
export interface StringProblem {
  readonly domain: StringDomain;
  /** The string matches a pattern of each list. */
  readonly positive: readonly (readonly Pattern[])[];
  /** The string matches no pattern of any list. */
  readonly negative: readonly (readonly Pattern[])[];
  /** The largest number of states to visit before giving up; absent: no limit. */
  readonly maxStates?: number;
}

/** A string, the negative lists that leave none, or the end of a limited search. */
export type FoundString =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'none'; readonly blockedBy: readonly number[] }
  | { readonly kind: 'limit' };

interface Tracked {
  readonly automaton: Automaton;
  /** Index of the list that it belongs to; {@link DOMAIN}: of the domain. */
  readonly list: number;
}

interface State {
  /** Pairs of the index of a tracked pattern and its state; absent: out of reach, or of a satisfied list. */
  readonly states: readonly number[];
  /** Positive lists that every continuation matches. */
  readonly satisfied: ReadonlySet<number>;
  readonly text: string;
}

/** The list of patterns that the domain rejects. */
const DOMAIN = -1;

interface Alphabet {
  readonly all: ReadonlySet<number>;
  readonly byClass: ReadonlyMap<number, readonly number[]>;
}

const alphabets = new WeakMap<StringDomain, Alphabet>();

function alphabetOf(domain: StringDomain): Alphabet {
  const known = alphabets.get(domain);
  if (known !== undefined) return known;
  const alphabet = { all: new Set(domain.alphabet), byClass: Map.groupBy(domain.alphabet, domain.classOf ?? classOf) };
  alphabets.set(domain, alphabet);
  return alphabet;
}

/** The search for one problem. */
class StringSearch {
  /** The patterns of positive lists, then those of negative ones and of the domain. */
  readonly #all: readonly Tracked[];
  /** Index of the first negative pattern. */
  readonly #negative: number;
  readonly #lists: number;
  readonly #byClass: ReadonlyMap<number, readonly number[]>;
  readonly #alphabet: ReadonlySet<number>;
  readonly #budget: Budget;
  readonly #maxStates: number;
  readonly #blockedBy: Set<number> = new Set<number>();

  constructor({ domain, positive, negative, maxStates }: StringProblem, budget: Budget) {
    this.#budget = budget;
    this.#maxStates = maxStates ?? Number.POSITIVE_INFINITY;
    const lists = domain.accepted === undefined ? positive : [...positive, domain.accepted];
    this.#lists = lists.length;
    const wanted = lists.flatMap((patterns, list) => patterns.map((pattern) => tracked(pattern, list)));
    this.#negative = wanted.length;
    this.#all = [
      ...wanted,
      ...negative.flatMap((patterns, list) => patterns.map((pattern) => tracked(pattern, list))),
      ...domain.rejected.map((pattern) => tracked(pattern, DOMAIN)),
    ];
    const { byClass, all } = alphabetOf(domain);
    this.#byClass = byClass;
    this.#alphabet = all;
  }

  run(): FoundString {
    const first = this.#checked(
      this.#all.flatMap((_, index) => [index, START]),
      NONE_SATISFIED,
      '',
    );
    if (first === undefined) return this.#none();
    const seen = new Set<string>([keyOf(first)]);
    let level: State[] = [first];
    while (level.length > 0) {
      const next: State[] = [];
      for (const state of level) {
        if (this.#isAccepted(state)) return { kind: 'value', value: state.text };
        for (const code of this.#codes(state)) {
          const reached = this.#step(state, code);
          if (reached === undefined) continue;
          const key = keyOf(reached);
          if (seen.has(key)) continue;
          seen.add(key);
          next.push(reached);
        }
      }
      if (seen.size > this.#maxStates) return { kind: 'limit' };
      level = next;
    }
    return this.#none();
  }

  #none(): FoundString {
    this.#blockedBy.delete(DOMAIN);
    return { kind: 'none', blockedBy: [...this.#blockedBy] };
  }

  #at(index: number): Tracked {
    return this.#all[index] as Tracked;
  }

  #step({ states, satisfied, text }: State, code: number): State | undefined {
    const next: number[] = [];
    for (let at = 0; at < states.length; at += 2) {
      const index = states[at] as number;
      const { automaton, list } = this.#at(index);
      if (index < this.#negative && satisfied.has(list)) continue;
      const state = automaton.advance(states[at + 1] as number, code);
      if (state !== DEAD) next.push(index, state);
    }
    this.#budget.spend(states.length + 1);
    return this.#checked(next, satisfied, text + String.fromCharCode(code));
  }

  /** The state, or undefined when no continuation of it can be a solution. */
  #checked(states: readonly number[], before: ReadonlySet<number>, text: string): State | undefined {
    const reachable = new Set<number>(before);
    let satisfied = before;
    for (let at = 0; at < states.length; at += 2) {
      const index = states[at] as number;
      const { automaton, list } = this.#at(index);
      const isSaturated = automaton.isSaturated(states[at + 1] as number);
      if (index < this.#negative) {
        reachable.add(list);
        if (isSaturated) satisfied = new Set(satisfied).add(list);
      } else if (isSaturated) {
        this.#blockedBy.add(list);
        return undefined;
      }
    }
    return reachable.size === this.#lists ? { states, satisfied, text } : undefined;
  }

  #isAccepted({ states, satisfied }: State): boolean {
    const matched = new Set<number>(satisfied);
    let isBlocked = false;
    for (let at = 0; at < states.length; at += 2) {
      const index = states[at] as number;
      const { automaton, list } = this.#at(index);
      if (!automaton.accepts(states[at + 1] as number)) continue;
      if (index < this.#negative) matched.add(list);
      else {
        this.#blockedBy.add(list);
        isBlocked = true;
      }
    }
    return matched.size === this.#lists && !isBlocked;
  }

  /** The characters to try: those that a pattern waits for, and one of each class that none waits for. */
  #codes({ states }: State): readonly number[] {
    const awaited = new Set<number>();
    for (let at = 0; at < states.length; at += 2) {
      for (const code of this.#at(states[at] as number).automaton.awaited(states[at + 1] as number)) awaited.add(code);
    }
    const others = [...this.#byClass.values()].flatMap((codes) => codes.find((code) => !awaited.has(code)) ?? []);
    return [...[...awaited].filter((code) => this.#alphabet.has(code)), ...others];
  }
}

const NONE_SATISFIED: ReadonlySet<number> = new Set();

function tracked(pattern: Pattern, list: number): Tracked {
  return { automaton: automatonOf(pattern), list };
}

function keyOf({ states, satisfied }: State): string {
  return satisfied.size === 0 ? states.join() : `${[...satisfied].sort().join()}|${states.join()}`;
}

/** Characters of a guess where the pattern leaves a choice. */
const FILLER = 'x'.charCodeAt(0);
/** Guesses before the search. */
const MAX_GUESSES = 4;

/** The shortest text of a pattern, with one choice of its characters; undefined: it has no simple one. */
function shortestText(pattern: Pattern): string | undefined {
  let text = '';
  for (const { codes, has, repeats } of pattern) {
    if (repeats) continue;
    const code = codes?.[0] ?? FILLER;
    if (!has(code)) return undefined;
    text += String.fromCharCode(code);
  }
  return text;
}

function lengthOf(pattern: Pattern): number {
  return pattern.reduce((length, { repeats }) => length + (repeats ? 0 : 1), 0);
}

function isMatch(pattern: Pattern, text: string): boolean {
  const automaton = automatonOf(pattern);
  let state = START;
  for (let at = 0; at < text.length; at++) {
    state = automaton.advance(state, text.charCodeAt(at));
    if (state === DEAD) return false;
    if (automaton.isSaturated(state)) return true;
  }
  return automaton.accepts(state);
}

function consistsOf(domain: StringDomain, text: string): boolean {
  if (domain.hasAny === true) return true;
  const { all } = alphabetOf(domain);
  for (let at = 0; at < text.length; at++) if (!all.has(text.charCodeAt(at))) return false;
  return true;
}

/**
 * A shortest string of one positive list, when it solves the whole problem: then no shorter one does. Most problems end here, without a
 * search.
 */
function guess({ domain, positive, negative }: StringProblem, budget: Budget): string | undefined {
  const lists = domain.accepted === undefined ? positive : [...positive, domain.accepted];
  for (const list of positive.slice(0, MAX_GUESSES)) {
    const [first, ...others] = list;
    if (first === undefined) continue;
    const text = shortestText(others.reduce((one, other) => (lengthOf(other) < lengthOf(one) ? other : one), first));
    if (text === undefined || !consistsOf(domain, text)) continue;
    const matches = (patterns: readonly Pattern[]): boolean => {
      budget.spend(patterns.length + text.length);
      return patterns.some((pattern) => isMatch(pattern, text));
    };
    if (lists.every(matches) && !matches(domain.rejected) && !negative.some(matches)) return text;
  }
  return undefined;
}

/** Answers for one pattern and one list: a whole search, but of two small automata. */
const coverage = new WeakMap<Pattern, WeakMap<readonly Pattern[], boolean>>();

/** Does the list match every string that the pattern matches? */
function isCovered(pattern: Pattern, list: readonly Pattern[], domain: StringDomain, budget: Budget): boolean {
  const known = coverage.get(pattern)?.get(list);
  if (known !== undefined) return known;
  const found = new StringSearch({ domain, positive: [[pattern]], negative: [list] }, budget).run();
  const byList = coverage.get(pattern) ?? new WeakMap<readonly Pattern[], boolean>();
  coverage.set(pattern, byList.set(list, found.kind === 'none'));
  return found.kind === 'none';
}

/**
 * A shortest string that solves the problem. Positive patterns that one negative list covers are dropped first: mostly nothing is left to
 * search then.
 * @throws OutOfTime when the budget ends before
 */
export function findString(problem: StringProblem, budget: Budget): FoundString {
  const { domain, positive, negative } = problem;
  const text = guess(problem, budget);
  if (text !== undefined) return { kind: 'value', value: text };
  if (negative.length === 0 || positive.length + negative.length === 2) return new StringSearch(problem, budget).run();
  const blockedBy = new Set<number>();
  const left: (readonly Pattern[])[] = [];
  for (const list of positive) {
    const kept = list.filter((pattern) => {
      const covering = negative.findIndex((other) => isCovered(pattern, other, domain, budget));
      if (covering !== -1) blockedBy.add(covering);
      return covering === -1;
    });
    if (kept.length === 0) return { kind: 'none', blockedBy: [...blockedBy] };
    left.push(kept);
  }
  const found = new StringSearch({ ...problem, positive: left }, budget).run();
  return found.kind === 'none' ? { kind: 'none', blockedBy: [...new Set([...blockedBy, ...found.blockedBy])] } : found;
}
