/*
 * What is known of one verified token under one list of rules, so that it is worked out once and not per request. In: claims,
 * which are never changed once verified. Out: postings and truths, kept as long as the claims are. Used by `RuleSearch`.
 */
import type { Clause } from '../../model/program.ts';
import type { Claims } from '../compile-clause.ts';
import type { Hits } from './posting.ts';

/** Truths kept for each token and list of rules: what a token's requests ask of it, but not all of what thousands of rules may. */
const MAX_TRUTHS = 64;

export interface TokenPart {
  /** What the token hits among the guards; `undefined`: not asked yet. */
  guards: Hits | undefined;
  /** What the token hits in the row filter, by axis; `undefined`: not asked yet. */
  rows: readonly Hits[] | undefined;
  readonly truths: Map<Clause, boolean>;
}

function createTokenPart(): TokenPart {
  return { guards: undefined, rows: undefined, truths: new Map() };
}

/** Does the clause hold for the token? */
export function clauseTruth({ truths }: TokenPart, clause: Clause, claims: Claims, test: (claims: Claims) => boolean): boolean {
  const known = truths.get(clause);
  if (known !== undefined) return known;
  const truth = test(claims);
  if (truths.size < MAX_TRUTHS) truths.set(clause, truth);
  return truth;
}

/** Token parts by claims and list of rules. */
export interface TokenMemo {
  /** The parts of a token, by the number of the list of rules. */
  partsOf(claims: Claims): (TokenPart | undefined)[];
}

/** The same claims must be given as the same object, and are held weakly. */
export function createTokenMemo(): TokenMemo {
  const partsByClaims = new WeakMap<Claims, (TokenPart | undefined)[]>();
  return {
    partsOf: (claims) => {
      const known = partsByClaims.get(claims);
      if (known !== undefined) return known;
      const parts: (TokenPart | undefined)[] = [];
      partsByClaims.set(claims, parts);
      return parts;
    },
  };
}

/** The part of the list of rules with this number. */
export function tokenPartOf(parts: (TokenPart | undefined)[], list: number): TokenPart {
  const known = parts[list];
  if (known !== undefined) return known;
  const part = createTokenPart();
  parts[list] = part;
  return part;
}
