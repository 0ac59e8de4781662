/*
 * Matches that an index finds too widely (`Term.exact` is false), where what is found must be a match: each that is found is put to
 * its own test, once however many rules share it. In: clauses of one match each, with ids. Out: a lookup that adds the ids of true
 * matches only. Used for what rows exclude and for long lists.
 */

import type { Clause } from '../../model/program.ts';
import { type ClauseTest, compileClause } from '../compile-clause.ts';
import { createLookup, type Lookup } from './axis.ts';
import { addHit, clearHits, createHits, createPosting, type Posting } from './posting.ts';
import type { RowSets } from './row-sets.ts';
import { type ListName, type Term, termsOf } from './term.ts';
import { addTerm, buildTermIndex, createIndexDraft } from './term-index.ts';

interface LooseMatch {
  /** Holds when the match does. */
  readonly clause: Clause;
  readonly term: Term;
  readonly ids: number[];
}

/** Matches on one axis that are being gathered, by what they say. */
export type LooseDraft = Map<string, LooseMatch>;

function withOne(clause: Clause, match: unknown): Clause {
  const { anyOf: _any, noneOf: _none, ...rest } = clause;
  return { ...rest, anyOf: [match] } as unknown as Clause;
}

/** Notes that `id` asks for every match of a list that an index finds too widely; ids must come in ascending order. */
export function addLooseMatches(draft: LooseDraft, clause: Clause, list: ListName, id: number): void {
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

/** The lookup of what was gathered; it must not be asked from within itself. @param sets see `createPosting` */
export function buildLooseLookup(draft: LooseDraft, sets: RowSets | undefined): Lookup | undefined {
  const matches = [...draft.values()];
  const [first] = matches;
  if (first === undefined) return undefined;
  const index = createIndexDraft();
  for (const [number, { term }] of matches.entries()) addTerm(index, term, number);
  const find = createLookup(first.clause, buildTermIndex(index, undefined));
  const postings = matches.map(({ ids }) => createPosting(ids, undefined, sets));
  const tests = new Array<ClauseTest | undefined>(matches.length).fill(undefined);
  const testOf = (number: number): ClauseTest => {
    const test = tests[number] ?? compileClause((matches[number] as LooseMatch).clause);
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
