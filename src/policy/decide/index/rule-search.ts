/*
 * The first rule of an engine that matches, found through indexes. In: the rules of an engine; then facts. Out: a rule's index.
 * Guards give the candidates; when they are many, the row filter thins them out; each is put to its own exact test, in the
 * order of the rules. Made by `createIndexedEvaluator` for each engine.
 */

import type { RequestFacts } from '../../facts.ts';
import type { Clause, Rule } from '../../model/program.ts';
import type { Claims } from '../compile-clause.ts';
import { buildGuards, type Guards } from './guards.ts';
import { addHit, clearHits, createHits, type Hits, type Posting } from './posting.ts';
import { buildRowFilter, type RowFilter } from './row-filter.ts';
import { ClauseTests, RuleTests } from './rule-tests.ts';
import { isTokenClause } from './term.ts';
import type { TokenPart } from './token-part.ts';

/** Up to so many rules are tried one after the other. */
const FEW_RULES = 4;
/** Up to so many candidates are tried one after the other. */
const FEW_CANDIDATES = 16;

/** Does any clause of the rules look at the token? */
export function asksForToken(rules: readonly Rule[]): boolean {
  const asks = (clauses: readonly Clause[]): boolean => clauses.some(isTokenClause);
  return rules.some(({ to, from, when }) => asks(when) || from.some(asks) || to.some(asks));
}

/** Finds rules. Holds the scratch memory of searches, which never overlap. */
export class RuleSearch {
  readonly #ruleCount: number;
  readonly #tests: RuleTests;
  /** Tests of rules that a guard found; they leave out what the guard has proved. */
  readonly #guardedTests: RuleTests;
  readonly #guards: Guards | undefined;
  readonly #filter: RowFilter | undefined;
  readonly #hits: Hits = createHits();
  readonly #candidates: Int32Array = new Int32Array(FEW_CANDIDATES);

  constructor(rules: readonly Rule[]) {
    this.#ruleCount = rules.length;
    this.#guards = rules.length > FEW_RULES ? buildGuards(rules) : undefined;
    const clauses = new ClauseTests();
    this.#tests = new RuleTests(rules, clauses);
    this.#guardedTests = new RuleTests(rules, clauses, this.#guards?.implied);
    this.#filter = (this.#guards?.worst ?? 0) > FEW_CANDIDATES ? buildRowFilter(rules) : undefined;
  }

  /** Index of the first rule that matches; -1: none. `token`: what is known of the verified token; absent: there is none, or none may be looked at. */
  find(facts: RequestFacts, token: TokenPart | undefined): number {
    const guards = this.#guards;
    if (guards === undefined) return this.#tryAll(facts, token);
    const hits = this.#hits;
    clearHits(hits);
    addHit(hits, guards.unguarded);
    if (token !== undefined && guards.tokenLookups.length > 0) this.#lookUpToken(guards, facts, token);
    for (const lookup of guards.lookups) {
      // The filter asks anew.
      if (hits.total > FEW_CANDIDATES || hits.isPartial) break;
      lookup(facts, undefined, hits);
    }
    if (hits.isPartial) return this.#sieve(facts, token, true);
    if (hits.total === 0) return -1;
    if (hits.total === 1) {
      const rule = hits.postings[0]?.ids[0] as number;
      return this.#guardedTests.matches(rule, facts, token) ? rule : -1;
    }
    if (hits.total <= FEW_CANDIDATES) return this.#tryCandidates(facts, token);
    return this.#sieve(facts, token, false);
  }

  #sieve(facts: RequestFacts, token: TokenPart | undefined, gaveUp: boolean): number {
    return (this.#filter as RowFilter).search(facts, token, gaveUp, (rule) => this.#tests.matches(rule, facts, token));
  }

  #tryAll(facts: RequestFacts, token: TokenPart | undefined): number {
    for (let rule = 0; rule < this.#ruleCount; rule++) {
      if (this.#tests.matches(rule, facts, token)) return rule;
    }
    return -1;
  }

  #lookUpToken(guards: Guards, facts: RequestFacts, token: TokenPart): void {
    const hits = this.#hits;
    if (!token.isKept) {
      for (const lookup of guards.tokenLookups) lookup(facts, token.claims, hits);
      return;
    }
    token.guards ??= tokenGuards(guards, facts, token.claims);
    const { postings, count, total } = token.guards;
    for (let i = 0; i < count; i++) addHit(hits, postings[i]);
    // Too many to be kept were only counted.
    if (count === 0) hits.total += total;
  }

  /** Tries the candidates in the order of the rules. */
  #tryCandidates(facts: RequestFacts, token: TokenPart | undefined): number {
    const candidates = this.#candidates;
    const count = this.#gather();
    let failed = -1;
    for (let i = 0; i < count; i++) {
      const rule = candidates[i] as number;
      if (rule !== failed && this.#guardedTests.matches(rule, facts, token)) return rule;
      failed = rule;
    }
    return -1;
  }

  /** Sorts the ids of all hits into `#candidates`. Gives their number. */
  #gather(): number {
    const { postings, count } = this.#hits;
    let gathered = 0;
    for (let i = 0; i < count; i++) {
      for (let link = postings[i]; link !== undefined; link = link.parent) {
        for (const id of link.ids) insert(this.#candidates, id, gathered++);
      }
    }
    return gathered;
  }
}

/** Puts `id` in its place among the first `count`, which are sorted. */
function insert(sorted: Int32Array, id: number, count: number): void {
  let at = count;
  for (; at > 0 && (sorted[at - 1] as number) > id; at--) sorted[at] = sorted[at - 1] as number;
  sorted[at] = id;
}

function tokenGuards({ tokenLookups }: Guards, facts: RequestFacts, claims: Claims): Hits {
  const hits = createHits();
  for (const lookup of tokenLookups) lookup(facts, claims, hits);
  const postings: Posting[] = hits.total <= FEW_CANDIDATES ? hits.postings : [];
  return { postings, count: postings.length, total: hits.total, isPartial: false };
}
