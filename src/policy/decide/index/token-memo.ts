/*
 * Caches, per verified token and list of rules, what depends on the token alone. Nothing is cached for the first request of a token:
 * most tokens of a flood never come back, and one lookup costs less than caching. The cache is in the token's notes.
 */

import type { Claims, RequestFacts } from '../../facts.ts';
import type { ClauseTest } from '../../match/compile-clause.ts';
import type { Clause } from '../../model/program.ts';
import type { TokenNotes, TokenOwner } from '../../token-notes.ts';
import type { TokenRows } from './bitmap/bitmap-index.ts';
import type { Hits } from './terms/posting.ts';

/** Clause results cached per token and list of rules: enough for the requests of one token, bounded under thousands of rules. */
const MAX_RESULTS = 32;

/** Lists of rules that may read a token: AUDIT, DENY, ALLOW, and two in dry-run. */
const LISTS = 5;

/** Memory of a stored entry and of its two arrays when they are full. */
const ENTRY_BYTES = 1200;
/** Memory of the array of entries. */
const ENTRIES_BYTES = 64;

/** What is known of a token. An entry that is not stored is valid for a single search. */
export interface TokenEntry extends TokenRows {
  claims: Claims;
  /** The access predicates that the token hits; `undefined`: not looked up yet. */
  predicates: Hits | undefined;
  /** Clauses that were evaluated and, at the same index, whether they hold: so few that an array is faster than a map. */
  readonly clauses: Clause[];
  readonly results: boolean[];
  /** Number of valid elements in both arrays. */
  count: number;
}

const NO_CLAIMS: Claims = Object.freeze({});

function createTokenEntry(claims: Claims, owner: TokenOwner | undefined, isStored: boolean): TokenEntry {
  return { claims, owner, isStored, predicates: undefined, rows: undefined, clauses: [], results: [], count: 0 };
}

/** The facts that a clause on the token gets: it must not read any. */
export const NO_FACTS: RequestFacts = Object.freeze({}) as RequestFacts;

/** Does `clause`, compiled to `test`, hold for the token? */
export function clauseHolds(entry: TokenEntry, clause: Clause, test: ClauseTest): boolean {
  const { clauses, results, count } = entry;
  for (let i = 0; i < count; i++) if (clauses[i] === clause) return results[i] as boolean;
  const result = test(NO_FACTS, entry.claims);
  if (count < MAX_RESULTS) {
    clauses[count] = clause;
    results[count] = result;
    entry.count = count + 1;
  }
  return result;
}

/** Reads and writes the notes of tokens for one evaluator. */
export class TokenMemo {
  /** Reused for every search of a token without a stored entry: searches never overlap. */
  readonly #transient: TokenEntry = createTokenEntry(NO_CLAIMS, undefined, false);

  /** What is known of the token of `facts`, whose claims are `claims`, under the list of rules with number `list`. */
  entryOf({ notes }: RequestFacts, claims: Claims, list: number): TokenEntry {
    if (notes === undefined || notes.claims !== claims) return this.#reset(claims);
    if (notes.writer !== this) {
      notes.writer = this;
      notes.kept = 0;
    }
    const { kept } = notes as { kept: number | (TokenEntry | undefined)[] };
    if (typeof kept !== 'number') {
      const known = kept[list];
      if (known !== undefined) return known;
      return store(kept, notes, claims, list);
    }
    // One bit for each list under which the token was seen.
    if ((kept & (1 << list)) !== 0) {
      const entries = new Array<TokenEntry | undefined>(LISTS).fill(undefined);
      notes.kept = entries;
      notes.owner?.retain(ENTRIES_BYTES);
      return store(entries, notes, claims, list);
    }
    notes.kept = kept | (1 << list);
    return this.#reset(claims);
  }

  #reset(claims: Claims): TokenEntry {
    const entry = this.#transient;
    entry.claims = claims;
    entry.count = 0;
    return entry;
  }
}

function store(entries: (TokenEntry | undefined)[], { owner }: TokenNotes, claims: Claims, list: number): TokenEntry {
  const entry = createTokenEntry(claims, owner, true);
  entries[list] = entry;
  owner?.retain(ENTRY_BYTES);
  return entry;
}
