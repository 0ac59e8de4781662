/*
 * Counts how many rules share a term: the number of rules that a request which hits the term may match because of it. Used to choose
 * access predicates.
 */
import type { Steps } from '../../../../steps.ts';
import type { Clause, Rule } from '../../../model/program.ts';
import { sortInSteps } from './sort-in-steps.ts';
import { reversed } from './string-trie.ts';
import { axisOf, type Term, type TermKind, termsOf } from './term.ts';

/** Counts by axis, kind and value. */
export interface TermCounts {
  readonly byAxis: Map<string, Map<TermKind, Map<string, number>>>;
  readonly rules: number;
}

/** One value can hit several patterns, where exact strings exclude each other; so a pattern counts this many times. */
const PATTERN_FACTOR = 4;

/** Terms and links that one step adds. */
const PER_STEP = 256;
const RULES_PER_STEP = 32;

/** Counts the positive terms of all rules. */
export function* countTerms(rules: readonly Rule[]): Steps<TermCounts> {
  const counts: TermCounts = { byAxis: new Map(), rules: rules.length };
  for (const [at, { to, from, when }] of rules.entries()) {
    for (const clauses of to) yield* addClauses(counts, clauses);
    for (const clauses of from) yield* addClauses(counts, clauses);
    yield* addClauses(counts, when);
    if (at % RULES_PER_STEP === 0) yield;
  }
  for (const kinds of counts.byAxis.values()) {
    yield* addNested(kinds.get('prefix'), (value) => value);
    yield* addNested(kinds.get('suffix'), reversed);
  }
  return counts;
}

function* addClauses({ byAxis }: TermCounts, clauses: readonly Clause[]): Steps<void> {
  for (const clause of clauses) {
    const terms = termsOf(clause, 'anyOf');
    if (terms === undefined) continue;
    const axis = axisOf(clause);
    let kinds = byAxis.get(axis);
    if (kinds === undefined) {
      kinds = new Map();
      byAxis.set(axis, kinds);
    }
    for (const [at, term] of terms.entries()) {
      if (at % PER_STEP === PER_STEP - 1) yield;
      addOne(kinds, term);
    }
  }
}

function addOne(kinds: Map<TermKind, Map<string, number>>, { kind, value }: Term): void {
  let counts = kinds.get(kind);
  if (counts === undefined) {
    counts = new Map();
    kinds.set(kind, counts);
  }
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

/** A value that hits a prefix hits all shorter ones and may hit longer ones: the longest chain through each prefix counts. */
function* addNested(counts: Map<string, number> | undefined, keyOf: (value: string) => string): Steps<void> {
  if (counts === undefined) return;
  const links: Link[] = [];
  for (const [value, count] of counts) {
    links.push({ value, key: keyOf(value), count, parent: undefined, longest: 0 });
    if (links.length % PER_STEP === 0) yield;
  }
  const sorted = yield* sortInSteps(links, (left, right) => (left.key < right.key ? -1 : 1));
  let open: Link | undefined;
  for (const [at, link] of sorted.entries()) {
    if (at % PER_STEP === 0) yield;
    while (open !== undefined && !link.key.startsWith(open.key)) open = open.parent;
    link.parent = open;
    link.count += open?.count ?? 0;
    link.longest = link.count;
    open = link;
  }
  // Children come after their parents, so that iterating backwards passes the longest chain up.
  yield;
  for (const { parent, longest } of sorted.toReversed()) {
    if (parent !== undefined) parent.longest = Math.max(parent.longest, longest);
  }
  yield;
  for (const { value, longest } of sorted) counts.set(value, longest);
}

/** A prefix (or reversed suffix) and the shorter ones that it starts with. */
interface Link {
  readonly value: string;
  readonly key: string;
  /** Number of rules of this prefix and all shorter ones. */
  count: number;
  parent: Link | undefined;
  /** Largest `count` of the prefixes that start with this one. */
  longest: number;
}

/** Number of rules that a request may match because it hits this term, which must be one of those counted. */
export function weightOfTerm({ byAxis, rules }: TermCounts, axis: string, { kind, value }: Term): number {
  if (kind === 'present') return rules;
  const count = byAxis.get(axis)?.get(kind)?.get(value) as number;
  return kind === 'exact' || kind === 'port' || kind === 'prefix' || kind === 'suffix' ? count : count * PATTERN_FACTOR;
}
