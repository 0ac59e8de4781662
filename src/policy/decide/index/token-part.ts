/*
 * What is known of one verified token under one list of rules, so that it is worked out once and not per request. In: claims,
 * which are never changed once verified. Out: postings and truths, kept as long as the claims are. Used by `RuleSearch`.
 */
import type { Clause } from '../../model/program.ts';
import type { Claims } from '../compile-clause.ts';
import type { Hits } from './posting.ts';

/** Truths kept for each token and list of rules: what a token's requests ask of it, but not all of what thousands of rules may. */
const MAX_TRUTHS = 32;

export interface TokenPart {
  readonly claims: Claims;
  /** What the token hits among the guards; `undefined`: not asked yet. */
  guards: Hits | undefined;
  /** What the token hits in the row filter, by axis; `undefined`: not asked yet. */
  rows: readonly Hits[] | undefined;
  /** Clauses that were asked, and at the same index whether they hold: so few that a list is faster than a map. */
  readonly asked: Clause[];
  readonly truths: boolean[];
}

function createTokenPart(claims: Claims): TokenPart {
  return { claims, guards: undefined, rows: undefined, asked: [], truths: [] };
}

/** Does the clause hold for the token? */
export function clauseTruth({ asked, truths, claims }: TokenPart, clause: Clause, test: (claims: Claims) => boolean): boolean {
  const count = asked.length;
  for (let i = 0; i < count; i++) if (asked[i] === clause) return truths[i] as boolean;
  const truth = test(claims);
  if (count < MAX_TRUTHS) {
    asked.push(clause);
    truths.push(truth);
  }
  return truth;
}

/** Token parts by claims. */
export interface TokenMemo {
  /** What is known of the token with these claims under the list of rules with this number. */
  partOf(claims: Claims, list: number): TokenPart;
}

/** The same claims must be given as the same object, and are held weakly. */
export function createTokenMemo(): TokenMemo {
  const partsByClaims = new WeakMap<Claims, (TokenPart | undefined)[]>();
  return {
    partOf: (claims, list) => {
      let parts = partsByClaims.get(claims);
      if (parts === undefined) {
        // AUDIT, DENY, ALLOW, and two in dry-run.
        parts = [undefined, undefined, undefined, undefined, undefined];
        partsByClaims.set(claims, parts);
      }
      const known = parts[list];
      if (known !== undefined) return known;
      const part = createTokenPart(claims);
      parts[list] = part;
      return part;
    },
  };
}
