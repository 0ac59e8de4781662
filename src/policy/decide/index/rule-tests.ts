/*
 * The exact tests of rules, each compiled when its rule first becomes a candidate. Every candidate that an index finds is tested here,
 * so an index may return too many candidates but never too few. A rule is a sequence of test numbers in one shared array; rules with
 * equal clauses share the tests.
 */

import type { RequestFacts } from '../../facts.ts';
import { type ClauseTest, compileClause } from '../../match/compile-clause.ts';
import type { Clause, Rule } from '../../model/program.ts';
import { createLookup } from './terms/axis-lookup.ts';
import { clearHits, createHits } from './terms/posting.ts';
import { addLossyMatches, buildRecheckLookup, type LossyDraft } from './terms/recheck-index.ts';
import { isTokenClause, type ListName, termsOf } from './terms/term.ts';
import { addTerm, buildTermIndex, createIndexDraft } from './terms/term-index.ts';
import { clauseHolds, NO_FACTS, type TokenEntry } from './token-memo.ts';

/** `token` absent: no clause may read claims. */
type RuleTest = (facts: RequestFacts, token: TokenEntry | undefined) => boolean;

/** A list of more matches than this is searched through an index, not one by one. */
const LONG_LIST = 8;

/** Cheap tests first: all of them must hold, so their order is free. */
const COST: Readonly<Record<Clause['attribute'], number>> = {
  method: 0,
  destinationPort: 0,
  path: 1,
  sni: 1,
  sourceIp: 2,
  remoteIp: 2,
  destinationIp: 2,
  claim: 3,
  requestPrincipal: 3,
  host: 4,
  peer: 5,
  header: 6,
  metadata: 0,
};

/** The compiled clauses of all rules of a list. */
export class ClauseTests {
  /** Numbers by the clause as JSON. */
  readonly #numbers = new Map<string, number>();
  readonly tests: RuleTest[] = [];

  /** The number of a clause's test, which equal clauses share. */
  numberOf(clause: Clause): number {
    const key = JSON.stringify(clause);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.add(clauseTest(clause));
    this.#numbers.set(key, number);
    return number;
  }

  /** Adds a test that is not shared. Returns its number. */
  add(test: RuleTest): number {
    return this.tests.push(test) - 1;
  }
}

/** The tests of all rules of a list. */
export class RuleTests {
  readonly #rules: readonly Rule[];
  readonly #implied: readonly (Clause | undefined)[];
  readonly #clauses: ClauseTests;
  /** By rule: where its tests start in `#numbers`; -1: not compiled yet. */
  readonly #starts: Int32Array;
  /** For each rule the count of its tests, followed by their numbers. */
  readonly #numbers: number[] = [];

  /** @param implied by rule, a clause whose positive list is known to hold whenever the rule is tested */
  constructor(rules: readonly Rule[], clauses: ClauseTests, implied: readonly (Clause | undefined)[] = []) {
    this.#rules = rules;
    this.#implied = implied;
    this.#clauses = clauses;
    this.#starts = new Int32Array(rules.length).fill(-1);
  }

  /** Does the rule at this index match? */
  matches(rule: number, facts: RequestFacts, token: TokenEntry | undefined): boolean {
    let at = this.#starts[rule] as number;
    if (at === -1) at = this.#compile(rule);
    const { tests } = this.#clauses;
    const numbers = this.#numbers;
    const end = at + (numbers[at] as number);
    while (at < end) {
      const test = tests[numbers[++at] as number] as RuleTest;
      if (!test(facts, token)) return false;
    }
    return true;
  }

  /** The clauses of a single entry of `from` or `to` are tested together with those of `when`. */
  #compile(index: number): number {
    const { to, from, when } = this.#rules[index] as Rule;
    const implied = this.#implied[index];
    const single = [to, from].flatMap((entries) => (entries.length === 1 ? (entries[0] as readonly Clause[]) : []));
    const needed = [...when, ...single].flatMap((clause) => (clause === implied ? withoutAnyOf(clause) : [clause]));
    const tests = this.#allOf(needed);
    for (const entries of [to, from]) {
      if (entries.length !== 1) tests.push(this.#clauses.add(this.#someOf(entries)));
    }
    const start = this.#numbers.push(tests.length, ...tests) - tests.length - 1;
    this.#starts[index] = start;
    return start;
  }

  #allOf(clauses: readonly Clause[]): number[] {
    return clauses.toSorted((left, right) => COST[left.attribute] - COST[right.attribute]).map((clause) => this.#clauses.numberOf(clause));
  }

  #someOf(entries: readonly (readonly Clause[])[]): RuleTest {
    const { tests } = this.#clauses;
    const alternatives = entries.map((clauses) => this.#allOf(clauses).map((number) => tests[number] as RuleTest));
    return (facts, token) => {
      for (const alternative of alternatives) if (allHold(alternative, facts, token)) return true;
      return false;
    };
  }
}

function allHold(tests: readonly RuleTest[], facts: RequestFacts, token: TokenEntry | undefined): boolean {
  for (const test of tests) if (!test(facts, token)) return false;
  return true;
}

function withoutAnyOf(clause: Clause): readonly Clause[] {
  return clause.noneOf === undefined ? [] : [without(clause, 'anyOf')];
}

function clauseTest(clause: Clause): RuleTest {
  const test = lists(clause);
  // The test does not read its second argument; a wrapper around it would cost more than some tests do.
  if (!isTokenClause(clause)) return test as (facts: RequestFacts) => boolean;
  return (_facts, token) => (token === undefined ? test(NO_FACTS, undefined) : clauseHolds(token, clause, test));
}

function lists(clause: Clause): ClauseTest {
  const any = longListTest(clause, 'anyOf');
  const none = longListTest(clause, 'noneOf');
  if (any === undefined && none === undefined) return compileClause(clause);
  const anyTest = any ?? compileClause(without(clause, 'noneOf'));
  const noneTest = none ?? invert(compileClause(without(clause, 'anyOf')));
  return (facts, claims) => anyTest(facts, claims) && !noneTest(facts, claims);
}

function invert(test: ClauseTest): ClauseTest {
  return (facts, claims) => !test(facts, claims);
}

function without(clause: Clause, list: ListName): Clause {
  const { [list]: _left, ...rest } = clause;
  return rest as Clause;
}

/** Tests whether any match of a long list holds; `undefined`: the list is short. */
function longListTest(clause: Clause, list: ListName): ClauseTest | undefined {
  const terms = termsOf(clause, list);
  if (terms === undefined || terms.length <= LONG_LIST) return undefined;
  const draft = createIndexDraft();
  for (const term of terms) if (term.exact) addTerm(draft, term, 0);
  const lossy: LossyDraft = new Map();
  if (!terms.every(({ exact }) => exact)) addLossyMatches(lossy, clause, list, 0);
  const findExact = createLookup(clause, buildTermIndex(draft, undefined));
  const findLossy = buildRecheckLookup(lossy, undefined);
  const hits = createHits();
  return (facts, claims) => {
    clearHits(hits);
    findExact(facts, claims, hits);
    if (hits.count === 0 && findLossy !== undefined) findLossy(facts, claims, hits);
    return hits.count > 0;
  };
}
