/*
 * An index of lossy terms (`Term.exact` is false) that returns true matches only: each hit is tested exactly, once, however many rules
 * share it. Used where a false hit would be wrong: for excluding lists and for long lists.
 */

import { type ClauseTest, compileClause } from '../../../match/compile-clause.ts';
import type { Clause } from '../../../model/program.ts';
import { createLookup, type Lookup } from './axis-lookup.ts';
import { addHit, clearHits, createHits, createPosting, type IdSets, type Posting } from './posting.ts';
import { type ListName, type Term, termsOf } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft } from './term-index.ts';

interface LossyMatch {
  /** A clause with this match alone. */
  readonly clause: Clause;
  readonly term: Term;
  readonly ids: number[];
}

/** Lossy matches of one axis under construction, by the match as JSON. */
export type LossyDraft = Map<string, LossyMatch>;

function withOne(clause: Clause, match: unknown): Clause {
  const { anyOf: _any, noneOf: _none, ...rest } = clause;
  return { ...rest, anyOf: [match] } as unknown as Clause;
}

/** Adds `id` under every lossy match of a list; ids must be added in ascending order. */
export function addLossyMatches(draft: LossyDraft, clause: Clause, list: ListName, id: number): void {
  for (const match of clause[list] as readonly unknown[]) {
    const single = withOne(clause, match);
    const [term] = termsOf(single, 'anyOf') as readonly Term[];
    if (term === undefined || term.exact) continue;
    const key = JSON.stringify(match);
    const known = draft.get(key);
    if (known === undefined) draft.set(key, { clause: single, term, ids: [id] });
    else if (known.ids[known.ids.length - 1] !== id) known.ids.push(id);
  }
}

/** The lookup of all added matches; `undefined`: nothing was added. It is not reentrant. @param sets see `createPosting` */
export function buildRecheckLookup(draft: LossyDraft, sets: IdSets | undefined): Lookup | undefined {
  const matches = [...draft.values()];
  const [first] = matches;
  if (first === undefined) return undefined;
  const index = createIndexDraft();
  for (const [number, { term }] of matches.entries()) addTerm(index, term, number);
  const find = createLookup(first.clause, buildTermIndex(index, undefined));
  const postings = matches.map(({ ids }) => createPosting(ids, undefined, sets));
  const tests = new Array<ClauseTest | undefined>(matches.length).fill(undefined);
  const testOf = (number: number): ClauseTest => {
    const test = tests[number] ?? compileClause((matches[number] as LossyMatch).clause);
    tests[number] = test;
    return test;
  };
  const found = createHits();
  return (facts, claims, hits) => {
    clearHits(found);
    find(facts, claims, found);
    if (found.isPartial) {
      for (const [number, posting] of postings.entries()) if (testOf(number)(facts, claims)) addHit(hits, posting);
      return;
    }
    for (let i = 0; i < found.count; i++) {
      for (let link = found.postings[i]; link !== undefined; link = link.parent) {
        for (const number of link.ids) {
          if (testOf(number)(facts, claims)) addHit(hits, postings[number] as Posting);
        }
      }
    }
  };
}
