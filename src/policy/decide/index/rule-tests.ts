/*
 * The exact tests of an engine's rules, each made when its rule first becomes a candidate. In: rules. Out: does a rule match facts
 * and what is known of the token? What an index finds is always put to this test, so an index may find too much, but not
 * too little. A rule is a list of numbers of tests, side by side in memory with those of others, which it shares with every rule
 * that asks the same. Used by `RuleSearch`.
 */

import type { RequestFacts } from '../../facts.ts';
import type { Clause, Rule } from '../../model/program.ts';
import { type ClauseTest, compileClause } from '../compile-clause.ts';
import { createLookup } from './axis.ts';
import { addLooseMatches, buildLooseLookup, type LooseDraft } from './loose-index.ts';
import { clearHits, createHits } from './posting.ts';
import { isTokenClause, type ListName, termsOf } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft } from './term-index.ts';
import { clauseTruth, NO_FACTS, type TokenPart } from './token-part.ts';

/** `token`: absent, no clause may look at claims. */
type RuleTest = (facts: RequestFacts, token: TokenPart | undefined) => boolean;

/** A list with more matches than this is looked up, not walked through. */
const LONG_LIST = 8;

/** Cheap tests first: all of them must hold, in whatever order. */
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

/** Compiled clauses of all rules. */
export class ClauseTests {
  /** Numbers by what the clause says. */
  readonly #numbers = new Map<string, number>();
  readonly tests: RuleTest[] = [];

  /** The number of a clause's test. */
  numberOf(clause: Clause): number {
    const key = JSON.stringify(clause);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.add(clauseTest(clause));
    this.#numbers.set(key, number);
    return number;
  }

  /** Adds a test that nothing else shares. */
  add(test: RuleTest): number {
    return this.tests.push(test) - 1;
  }
}

/** Tests of all rules, some of whose clauses may be known to hold whenever they are asked. */
export class RuleTests {
  readonly #rules: readonly Rule[];
  readonly #implied: readonly (Clause | undefined)[];
  readonly #clauses: ClauseTests;
  /** By rule: where its tests begin among `#numbers`; -1: not made yet. */
  readonly #starts: Int32Array;
  /** Of each rule the number of its tests, and then the tests. */
  readonly #numbers: number[] = [];

  /** @param implied by rule a clause whose positive list holds whenever the rule is asked for */
  constructor(rules: readonly Rule[], clauses: ClauseTests, implied: readonly (Clause | undefined)[] = []) {
    this.#rules = rules;
    this.#implied = implied;
    this.#clauses = clauses;
    this.#starts = new Int32Array(rules.length).fill(-1);
  }

  /** Does the rule at this index match? */
  matches(rule: number, facts: RequestFacts, token: TokenPart | undefined): boolean {
    let at = this.#starts[rule] as number;
    if (at === -1) at = this.#make(rule);
    const { tests } = this.#clauses;
    const numbers = this.#numbers;
    const end = at + (numbers[at] as number);
    while (at < end) {
      const test = tests[numbers[++at] as number] as RuleTest;
      if (!test(facts, token)) return false;
    }
    return true;
  }

  /** Entries of `from` and `to` that stand alone are tested together with `when`. */
  #make(index: number): number {
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

function allHold(tests: readonly RuleTest[], facts: RequestFacts, token: TokenPart | undefined): boolean {
  for (const test of tests) if (!test(facts, token)) return false;
  return true;
}

function withoutAnyOf(clause: Clause): readonly Clause[] {
  return clause.noneOf === undefined ? [] : [without(clause, 'anyOf')];
}

function clauseTest(clause: Clause): RuleTest {
  const test = lists(clause);
  // Its second argument is not read; another function around each test would cost more than some of them.
  if (!isTokenClause(clause)) return test as (facts: RequestFacts) => boolean;
  return (_facts, token) => (token === undefined ? test(NO_FACTS, undefined) : clauseTruth(token, clause, test));
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

/** Does any match of a long list hold? `undefined`: the list is short. */
function longListTest(clause: Clause, list: ListName): ClauseTest | undefined {
  const terms = termsOf(clause, list);
  if (terms === undefined || terms.length <= LONG_LIST) return undefined;
  const draft = createIndexDraft();
  for (const term of terms) if (term.exact) addTerm(draft, term, 0);
  const loose: LooseDraft = new Map();
  if (!terms.every(({ exact }) => exact)) addLooseMatches(loose, clause, list, 0);
  const findExact = createLookup(clause, buildTermIndex(draft, undefined));
  const findLoose = buildLooseLookup(loose, undefined);
  const hits = createHits();
  return (facts, claims) => {
    clearHits(hits);
    findExact(facts, claims, hits);
    if (hits.count === 0 && findLoose !== undefined) findLoose(facts, claims, hits);
    return hits.count > 0;
  };
}
