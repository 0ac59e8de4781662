/*
 * How many rules look for the same. In: the rules of an engine. Out: for each term the number of rules that a request which has
 * it may match. Used to choose guards.
 */
import type { Clause, Rule } from '../../model/program.ts';
import { axisOf, type Term, type TermKind, termsOf } from './term.ts';
import { reversed } from './text-trie.ts';

/** Counts by axis, kind and text. */
export interface TermCounts {
  readonly byAxis: Map<string, Map<TermKind, Map<string, number>>>;
  readonly rules: number;
}

/** Patterns that are not followed up may hold together where exact texts exclude each other. */
const PATTERN_FACTOR = 4;

/** Counts the positive terms of all rules. */
export function countTerms(rules: readonly Rule[]): TermCounts {
  const counts: TermCounts = { byAxis: new Map(), rules: rules.length };
  for (const { to, from, when } of rules) {
    for (const clauses of to) addClauses(counts, clauses);
    for (const clauses of from) addClauses(counts, clauses);
    addClauses(counts, when);
  }
  for (const kinds of counts.byAxis.values()) {
    addNested(kinds.get('prefix'), (text) => text);
    addNested(kinds.get('suffix'), reversed);
  }
  return counts;
}

function addClauses({ byAxis }: TermCounts, clauses: readonly Clause[]): void {
  for (const clause of clauses) {
    const terms = termsOf(clause, 'anyOf');
    if (terms === undefined) continue;
    const axis = axisOf(clause);
    let kinds = byAxis.get(axis);
    if (kinds === undefined) {
      kinds = new Map();
      byAxis.set(axis, kinds);
    }
    for (const term of terms) addOne(kinds, term);
  }
}

function addOne(kinds: Map<TermKind, Map<string, number>>, { kind, text }: Term): void {
  let counts = kinds.get(kind);
  if (counts === undefined) {
    counts = new Map();
    kinds.set(kind, counts);
  }
  counts.set(text, (counts.get(text) ?? 0) + 1);
}

/** A request with a prefix has all shorter ones, and may have longer ones: the longest chain through each counts. */
function addNested(counts: Map<string, number> | undefined, keyOf: (text: string) => string): void {
  if (counts === undefined) return;
  const sorted = Array.from(counts, ([text, count]): Link => ({ text, key: keyOf(text), count, parent: undefined, longest: 0 }));
  sorted.sort((left, right) => (left.key < right.key ? -1 : 1));
  let open: Link | undefined;
  for (const link of sorted) {
    while (open !== undefined && !link.key.startsWith(open.key)) open = open.parent;
    link.parent = open;
    link.count += open?.count ?? 0;
    link.longest = link.count;
    open = link;
  }
  // Children come after their parents, so that going back the longest chain moves up.
  for (const { parent, longest } of sorted.toReversed()) {
    if (parent !== undefined) parent.longest = Math.max(parent.longest, longest);
  }
  for (const { text, longest } of sorted) counts.set(text, longest);
}

/** A prefix with those that it begins with. */
interface Link {
  readonly text: string;
  readonly key: string;
  /** Rules of this prefix and all shorter ones. */
  count: number;
  parent: Link | undefined;
  /** The same of the longest prefix that begins with this one. */
  longest: number;
}

/** Rules that a request with this term may match on account of it. The term must be one that was counted. */
export function weightOfTerm({ byAxis, rules }: TermCounts, axis: string, { kind, text }: Term): number {
  if (kind === 'present') return rules;
  const count = byAxis.get(axis)?.get(kind)?.get(text) as number;
  return kind === 'exact' || kind === 'port' || kind === 'prefix' || kind === 'suffix' ? count : count * PATTERN_FACTOR;
}
