/*
 * The exact test of one rule, made when the rule first becomes a candidate. In: a rule. Out: a test on facts and on what is
 * known of the token. What an index finds is always put to this test, so an index may find too much, but not too little.
 * Used by `RuleSearch`.
 */
import type { Clause, Rule } from '../../model/program.ts';
import type { RequestFacts } from '../../request/facts.ts';
import { type Claims, type ClauseTest, compileClause } from '../compile-clause.ts';
import { createLookup } from './axis.ts';
import { addLooseMatches, buildLooseLookup, type LooseDraft } from './loose-index.ts';
import { clearHits, createHits } from './posting.ts';
import { isTokenClause, type ListName, termsOf } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft } from './term-index.ts';
import { clauseTruth, type TokenPart } from './token-part.ts';

/** `token`: absent, no clause may look at claims. */
export type RuleTest = (facts: RequestFacts, token: TokenPart | undefined) => boolean;

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

const ALWAYS: RuleTest = () => true;
const NEVER: RuleTest = () => false;

/** Tests of clauses that were compiled before, by what they say: rules that ask the same share the test and what it found out. */
export type ClauseTests = Map<string, RuleTest>;

/**
 * Compiles a rule. Entries of `from` and `to` that stand alone are tested together with `when`.
 * @param implied a clause whose positive list is known to hold whenever the test is asked
 */
export function createRuleTest(rule: Rule, known: ClauseTests, implied?: Clause): RuleTest {
  const groups = [rule.to, rule.from];
  const single = groups.flatMap((entries) => (entries.length === 1 ? (entries[0] as readonly Clause[]) : []));
  const needed = [...rule.when, ...single].flatMap((clause) => (clause === implied ? withoutAnyOf(clause) : [clause]));
  const tests = [allOf(needed, known)];
  for (const entries of groups) {
    if (entries.length !== 1) tests.push(someOf(entries.map((clauses) => allOf(clauses, known))));
  }
  return every(tests);
}

function withoutAnyOf(clause: Clause): readonly Clause[] {
  return clause.noneOf === undefined ? [] : [without(clause, 'anyOf')];
}

function every(tests: readonly RuleTest[]): RuleTest {
  const [first = ALWAYS, second, third] = tests;
  if (second === undefined) return first;
  if (third === undefined) return (facts, token) => first(facts, token) && second(facts, token);
  return (facts, token) => {
    for (const test of tests) {
      if (!test(facts, token)) return false;
    }
    return true;
  };
}

function someOf(tests: readonly RuleTest[]): RuleTest {
  if (tests.length === 0) return NEVER;
  return (facts, token) => {
    for (const test of tests) {
      if (test(facts, token)) return true;
    }
    return false;
  };
}

function allOf(clauses: readonly Clause[], known: ClauseTests): RuleTest {
  const sorted = clauses.toSorted((left, right) => COST[left.attribute] - COST[right.attribute]);
  return every(sorted.map((clause) => sharedTest(clause, known)));
}

function sharedTest(clause: Clause, known: ClauseTests): RuleTest {
  const key = JSON.stringify(clause);
  const shared = known.get(key);
  if (shared !== undefined) return shared;
  const test = clauseTest(clause);
  known.set(key, test);
  return test;
}

function clauseTest(clause: Clause): RuleTest {
  const test = lists(clause);
  // Its second argument is not read; another function around each test would cost more than some of them.
  if (!isTokenClause(clause)) return test as (facts: RequestFacts) => boolean;
  const ofClaims = (claims: Claims): boolean => test(NO_FACTS, claims);
  return (_facts, token) => (token === undefined ? test(NO_FACTS, undefined) : clauseTruth(token, clause, ofClaims));
}

/** What a clause on the token may read of the request: nothing. */
const NO_FACTS: RequestFacts = Object.freeze({}) as RequestFacts;

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
  const findExact = createLookup(clause, buildTermIndex(draft, 0));
  const findLoose = buildLooseLookup(loose, 0);
  const hits = createHits();
  return (facts, claims) => {
    clearHits(hits);
    findExact(facts, claims, hits);
    if (hits.count === 0 && findLoose !== undefined) findLoose(facts, claims, hits);
    return hits.count > 0;
  };
}
