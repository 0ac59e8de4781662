/*
 * Rules as clause rows. A row is one combination of an entry of `to` with one of `from`, and so a plain AND of clauses.
 */
import type { Steps } from '../../../../steps.ts';
import type { Clause, Rule } from '../../../model/program.ts';
import { axisOf, type ListName, type Term, termsOf } from '../terms/term.ts';

/** What a row requires of one axis. */
export interface Constraint {
  readonly clause: Clause;
  readonly terms: readonly Term[];
}

/** A row may be wider than its rule, never narrower. */
export interface ClauseRow {
  /** Index of its rule. */
  readonly rule: number;
  /** One of the terms must hold. Two clauses on one axis have different keys. */
  readonly anyOf: ReadonlyMap<string, Constraint>;
  /** None of the terms may hold. */
  readonly noneOf: ReadonlyMap<string, Constraint>;
}

/** A rule with more combinations than this becomes a single row. The first limit that does not give too many rows is used. */
const MAX_COMBINATIONS: readonly number[] = [16, 4, 1];
/** More rows than this are too many: each is a bit that every search reads. */
const MANY_ROWS = 2048;
const MANY_ROWS_PER_RULE = 2;

const RULES_PER_STEP = 16;

/** All rows, in the order of the rules. */
export function* clauseRowsOf(rules: readonly Rule[]): Steps<readonly ClauseRow[]> {
  const many = Math.max(MANY_ROWS, rules.length * MANY_ROWS_PER_RULE);
  // One row per rule is never too many.
  const most = MAX_COMBINATIONS.find((limit) => countRows(rules, limit) <= many) as number;
  const rows: ClauseRow[] = [];
  for (const [index, rule] of rules.entries()) {
    if (index % RULES_PER_STEP === 0) yield;
    for (const row of rowsOfRule(rule, index, most)) rows.push(row);
  }
  return rows;
}

function countRows(rules: readonly Rule[], most: number): number {
  return rules.reduce((count, { to, from }) => count + (to.length * from.length > most ? 1 : to.length * from.length), 0);
}

function rowsOfRule(rule: Rule, index: number, most: number): readonly ClauseRow[] {
  const { to, from, when } = rule;
  if (to.length * from.length > most) return [wideRow(rule, index)];
  return to.flatMap((operation) => from.map((source) => plainRow([...operation, ...source, ...when], index)));
}

function plainRow(clauses: readonly Clause[], rule: number): ClauseRow {
  return { rule, anyOf: constraintsOf(clauses, 'anyOf'), noneOf: constraintsOf(clauses, 'noneOf') };
}

function constraintsOf(clauses: readonly Clause[], list: ListName): ReadonlyMap<string, Constraint> {
  const constraints = new Map<string, Constraint>();
  for (const clause of clauses) {
    const terms = termsOf(clause, list);
    if (terms === undefined) continue;
    let key = keyOf(clause, list);
    while (constraints.has(key)) key += '+';
    constraints.set(key, { clause, terms });
  }
  return constraints;
}

/** Lists with path templates have their own axis: the search for templates may give up, and then only this axis is unknown. */
export const TEMPLATES_KEY = 'path template';

function keyOf(clause: Clause, list: ListName): string {
  const hasTemplates = clause.attribute === 'path' && clause[list]?.some(({ kind }) => kind === 'template');
  return hasTemplates === true ? TEMPLATES_KEY : axisOf(clause);
}

/** One row for all combinations: only axes that every entry constrains, with the terms of all entries. */
function wideRow({ to, from, when }: Rule, rule: number): ClauseRow {
  const anyOf = new Map<string, Constraint>();
  for (const entries of [to, from, [when]]) {
    for (const [key, constraint] of commonConstraints(entries)) {
      // `when` may constrain the same axis again; the first constraint is kept.
      if (!anyOf.has(key)) anyOf.set(key, constraint);
    }
  }
  return { rule, anyOf, noneOf: constraintsOf(when, 'noneOf') };
}

function commonConstraints(entries: readonly (readonly Clause[])[]): ReadonlyMap<string, Constraint> {
  const all = entries.map((clauses) => constraintsOf(clauses, 'anyOf'));
  const common = new Map<string, Constraint>();
  for (const [key, { clause }] of all[0] as ReadonlyMap<string, Constraint>) {
    const shared = all.map((constraints) => constraints.get(key)).filter((constraint) => constraint !== undefined);
    if (shared.length === all.length) common.set(key, { clause, terms: distinct(shared.flatMap(({ terms }) => terms)) });
  }
  return common;
}

/** Removes duplicate terms. Terms that differ in `exact` are different. */
function distinct(terms: readonly Term[]): readonly Term[] {
  const byKey = new Map<string, Term>();
  for (const term of terms) byKey.set(`${term.kind} ${term.exact} ${term.value}`, term);
  return [...byKey.values()];
}
