/*
 * What is known of one verified token under one list of rules, so that it is worked out once and not per request. In: facts with
 * the notes of their token. Out: postings and truths. A token that comes for the first time leaves but a mark in its notes: most
 * tokens of a flood never come again, and asking once costs less than keeping. Used by `RuleSearch`.
 */

import type { RequestFacts } from '../../facts.ts';
import type { Clause } from '../../model/program.ts';
import type { Claims, ClauseTest } from '../compile-clause.ts';
import type { Hits } from './posting.ts';

/** Truths kept for each token and list of rules: what a token's requests ask of it, but not all of what thousands of rules may. */
const MAX_TRUTHS = 32;

/** Lists of rules that may look at a token: AUDIT, DENY, ALLOW, and two in dry-run. */
const LISTS = 5;

/** What is known of a token; one that is not kept is good for a single search. */
export interface TokenPart {
  claims: Claims;
  readonly isKept: boolean;
  /** What the token hits among the guards; `undefined`: not asked yet. */
  guards: Hits | undefined;
  /** What the token hits in the row filter, by axis; `undefined`: not asked yet. */
  rows: readonly Hits[] | undefined;
  /** Clauses that were asked, and at the same index whether they hold: so few that a list is faster than a map. */
  readonly asked: Clause[];
  readonly truths: boolean[];
  /** How many of them count. */
  count: number;
}

const NO_CLAIMS: Claims = Object.freeze({});

function createTokenPart(claims: Claims, isKept: boolean): TokenPart {
  return { claims, isKept, guards: undefined, rows: undefined, asked: [], truths: [], count: 0 };
}

/** What a clause on the token may read of the request: nothing. */
export const NO_FACTS: RequestFacts = Object.freeze({}) as RequestFacts;

/** Does the clause, whose test this is, hold for the token? */
export function clauseTruth(part: TokenPart, clause: Clause, test: ClauseTest): boolean {
  const { asked, truths, count } = part;
  for (let i = 0; i < count; i++) if (asked[i] === clause) return truths[i] as boolean;
  const truth = test(NO_FACTS, part.claims);
  if (count < MAX_TRUTHS) {
    asked[count] = clause;
    truths[count] = truth;
    part.count = count + 1;
  }
  return truth;
}

/** Reads and writes the notes of tokens for one evaluator. */
export class TokenMemo {
  /** Good for one search: searches never overlap. */
  readonly #passing: TokenPart = createTokenPart(NO_CLAIMS, false);

  /** What is known of the token with these claims, which are those of `facts`, under the list of rules with this number. */
  partOf({ notes }: RequestFacts, claims: Claims, list: number): TokenPart {
    if (notes === undefined || notes.claims !== claims) return this.#pass(claims);
    if (notes.writer !== this) {
      notes.writer = this;
      notes.kept = 0;
    }
    const { kept } = notes as { kept: number | (TokenPart | undefined)[] };
    if (typeof kept !== 'number') {
      const known = kept[list];
      if (known !== undefined) return known;
      return keep(kept, claims, list);
    }
    // A bit for each list that the token came to.
    if ((kept & (1 << list)) !== 0) {
      const parts = new Array<TokenPart | undefined>(LISTS).fill(undefined);
      notes.kept = parts;
      return keep(parts, claims, list);
    }
    notes.kept = kept | (1 << list);
    return this.#pass(claims);
  }

  #pass(claims: Claims): TokenPart {
    const part = this.#passing;
    part.claims = claims;
    part.count = 0;
    return part;
  }
}

function keep(parts: (TokenPart | undefined)[], claims: Claims, list: number): TokenPart {
  const part = createTokenPart(claims, true);
  parts[list] = part;
  return part;
}
