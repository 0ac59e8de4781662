/*
 * Finds the first rule of a list that matches a request. Access predicates give the candidates; if there are many, the bitmap index
 * gives fewer; each candidate is then tested exactly, in the order of the rules.
 */

import type { Steps } from '../../../steps.ts';
import type { RequestFacts } from '../../facts.ts';
import type { Clause, Rule } from '../../model/program.ts';
import { type AccessPredicates, buildAccessPredicates } from './access-predicates.ts';
import { type BitmapIndex, buildBitmapIndex } from './bitmap/bitmap-index.ts';
import { ClauseTests, RuleTests } from './rule-tests.ts';
import { addHit, clearHits, createHits, type Hits, hitsBytes, type Posting } from './terms/posting.ts';
import { isTokenClause } from './terms/term.ts';
import type { TokenEntry } from './token-memo.ts';

/** Up to this many rules are tested one by one, without an index. */
const FEW_RULES = 4;
/** Up to this many candidates are tested one by one, without the bitmap index. */
const FEW_CANDIDATES = 16;

/** Does any clause of the rules read the token? */
export function readsToken(rules: readonly Rule[]): boolean {
  const reads = (clauses: readonly Clause[]): boolean => clauses.some(isTokenClause);
  return rules.some(({ to, from, when }) => reads(when) || from.some(reads) || to.some(reads));
}

/** Builds the indexes of a list of rules, and the search in it. */
export function* buildRuleSearch(rules: readonly Rule[]): Steps<RuleSearch> {
  const predicates = rules.length > FEW_RULES ? yield* buildAccessPredicates(rules) : undefined;
  const bitmaps = (predicates?.worst ?? 0) > FEW_CANDIDATES ? yield* buildBitmapIndex(rules) : undefined;
  return new RuleSearch(rules, predicates, bitmaps);
}

/** Searches one list of rules. Holds the scratch memory of searches, which never overlap. */
export class RuleSearch {
  readonly #ruleCount: number;
  readonly #tests: RuleTests;
  /** Tests of rules that an access predicate found, without what the predicate has proved. */
  readonly #residualTests: RuleTests;
  readonly #predicates: AccessPredicates | undefined;
  readonly #bitmaps: BitmapIndex | undefined;
  readonly #hits: Hits = createHits();
  readonly #candidates: Int32Array = new Int32Array(FEW_CANDIDATES);

  constructor(rules: readonly Rule[], predicates: AccessPredicates | undefined, bitmaps: BitmapIndex | undefined) {
    const clauses = new ClauseTests();
    this.#ruleCount = rules.length;
    this.#predicates = predicates;
    this.#tests = new RuleTests(rules, clauses);
    this.#residualTests = new RuleTests(rules, clauses, predicates?.implied);
    this.#bitmaps = bitmaps;
  }

  /**
   * Index of the first rule that matches; -1: none.
   * @param token what is known of the verified token; absent: the request has no token, or the rules must not read it
   */
  find(facts: RequestFacts, token: TokenEntry | undefined): number {
    const predicates = this.#predicates;
    if (predicates === undefined) return this.#tryAll(facts, token);
    const hits = this.#hits;
    clearHits(hits);
    addHit(hits, predicates.unconditional);
    if (token !== undefined && predicates.tokenLookups.length > 0) this.#lookUpToken(predicates, facts, token);
    for (const lookup of predicates.lookups) {
      // The bitmap index looks everything up again.
      if (hits.total > FEW_CANDIDATES || hits.isPartial) break;
      lookup(facts, undefined, hits);
    }
    if (hits.isPartial) return this.#searchBitmaps(facts, token, true);
    if (hits.total === 0) return -1;
    if (hits.total === 1) {
      const rule = hits.postings[0]?.ids[0] as number;
      return this.#residualTests.matches(rule, facts, token) ? rule : -1;
    }
    if (hits.total <= FEW_CANDIDATES) return this.#tryCandidates(facts, token);
    return this.#searchBitmaps(facts, token, false);
  }

  #searchBitmaps(facts: RequestFacts, token: TokenEntry | undefined, gaveUp: boolean): number {
    return (this.#bitmaps as BitmapIndex).search(facts, token, gaveUp, (rule) => this.#tests.matches(rule, facts, token));
  }

  #tryAll(facts: RequestFacts, token: TokenEntry | undefined): number {
    for (let rule = 0; rule < this.#ruleCount; rule++) {
      if (this.#tests.matches(rule, facts, token)) return rule;
    }
    return -1;
  }

  #lookUpToken(predicates: AccessPredicates, facts: RequestFacts, token: TokenEntry): void {
    const hits = this.#hits;
    if (!token.isStored) {
      for (const lookup of predicates.tokenLookups) lookup(facts, token.claims, hits);
      return;
    }
    token.predicates ??= keptPredicates(predicates, facts, token);
    const { postings, count, total } = token.predicates;
    for (let i = 0; i < count; i++) addHit(hits, postings[i]);
    // Of too many hits only their number is stored.
    if (count === 0) hits.total += total;
  }

  /** Tests the candidates in the order of the rules. */
  #tryCandidates(facts: RequestFacts, token: TokenEntry | undefined): number {
    const candidates = this.#candidates;
    const count = this.#gather();
    let failed = -1;
    for (let i = 0; i < count; i++) {
      const rule = candidates[i] as number;
      if (rule !== failed && this.#residualTests.matches(rule, facts, token)) return rule;
      failed = rule;
    }
    return -1;
  }

  /** Writes the ids of all hits to `#candidates`, sorted. Returns their number. */
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

/** Inserts `id` into the first `count` elements, which are sorted. */
function insert(sorted: Int32Array, id: number, count: number): void {
  let at = count;
  for (; at > 0 && (sorted[at - 1] as number) > id; at--) sorted[at] = sorted[at - 1] as number;
  sorted[at] = id;
}

function keptPredicates({ tokenLookups }: AccessPredicates, facts: RequestFacts, { claims, owner }: TokenEntry): Hits {
  const hits = createHits();
  for (const lookup of tokenLookups) lookup(facts, claims, hits);
  const postings: Posting[] = hits.total <= FEW_CANDIDATES ? hits.postings : [];
  const kept = { postings, count: postings.length, total: hits.total, isPartial: false };
  owner?.retain(hitsBytes(kept));
  return kept;
}
