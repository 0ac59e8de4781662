/*
 * Rules as rows: a row is one combination of an entry of `to` with one of `from`, and so a plain AND of clauses. In: rules. Out:
 * rows with the terms of their clauses by axis. Used by the row filter.
 */
import type { Clause, Rule } from '../../model/program.ts';
import { axisOf, type ListName, type Term, termsOf } from './term.ts';

/** What one axis must hold for a row. */
export interface Constraint {
  readonly clause: Clause;
  readonly terms: readonly Term[];
}

/** A row that cannot be told exactly is told too wide. */
export interface Row {
  /** Index of its rule. */
  readonly rule: number;
  /** One of the terms must hold. Two clauses on one axis have different keys. */
  readonly anyOf: ReadonlyMap<string, Constraint>;
  /** None of the terms may hold. */
  readonly noneOf: ReadonlyMap<string, Constraint>;
}

/** A rule with more combinations than this becomes a single row. */
const MAX_COMBINATIONS = 16;

/** All rows, in the order of the rules. */
export function rowsOf(rules: readonly Rule[]): readonly Row[] {
  return rules.flatMap(rowsOfRule);
}

function rowsOfRule(rule: Rule, index: number): readonly Row[] {
  const { to, from, when } = rule;
  if (to.length * from.length > MAX_COMBINATIONS) return [wideRow(rule, index)];
  return to.flatMap((operation) => from.map((source) => plainRow([...operation, ...source, ...when], index)));
}

function plainRow(clauses: readonly Clause[], rule: number): Row {
  return { rule, anyOf: constraintsOf(clauses, 'anyOf'), noneOf: constraintsOf(clauses, 'noneOf') };
}

function constraintsOf(clauses: readonly Clause[], list: ListName): ReadonlyMap<string, Constraint> {
  const constraints = new Map<string, Constraint>();
  for (const clause of clauses) {
    const all = termsOf(clause, list);
    if (all === undefined) continue;
    // What is excluded must be exactly what a clause excludes, or a part of it.
    const terms = list === 'anyOf' ? all : all.filter(({ exact }) => exact);
    let key = axisOf(clause);
    while (constraints.has(key)) key += '+';
    constraints.set(key, { clause, terms });
  }
  return constraints;
}

/** Only what every entry asks for, in any of the entries' ways. */
function wideRow({ to, from, when }: Rule, rule: number): Row {
  const anyOf = new Map<string, Constraint>();
  for (const entries of [to, from, [when]]) {
    for (const [key, constraint] of commonConstraints(entries)) {
      // `when` may ask again for what entries ask for; the first is kept.
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
    if (shared.length === all.length) common.set(key, { clause, terms: shared.flatMap(({ terms }) => terms) });
  }
  return common;
}
