/*
 * Compiles rules for the linear evaluator.
 */

import type { Claims, RequestFacts } from '../facts.ts';
import { type ClauseTest, compileClause } from '../match/compile-clause.ts';
import type { Clause, Rule } from '../model/program.ts';

/** A clause with its test. */
export interface CompiledClause {
  readonly clause: Clause;
  readonly test: ClauseTest;
}

/** A rule with compiled clauses, in the shape of {@link Rule}. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly from: readonly (readonly CompiledClause[])[];
  readonly to: readonly (readonly CompiledClause[])[];
  readonly when: readonly CompiledClause[];
}

function compileAll(clauses: readonly Clause[]): readonly CompiledClause[] {
  return clauses.map((clause) => ({ clause, test: compileClause(clause) }));
}

/** The compiled rules, in the same order. */
export function compileRules(rules: readonly Rule[]): readonly CompiledRule[] {
  return rules.map((rule) => ({ rule, from: rule.from.map(compileAll), to: rule.to.map(compileAll), when: compileAll(rule.when) }));
}

/** Index of the first clause that does not hold; -1: all hold. */
export function firstFailing(clauses: readonly CompiledClause[], facts: RequestFacts, claims: Claims | undefined): number {
  for (let i = 0; i < clauses.length; i++) {
    if (clauses[i]?.test(facts, claims) === false) return i;
  }
  return -1;
}

function someHolds(alternatives: readonly (readonly CompiledClause[])[], facts: RequestFacts, claims: Claims | undefined): boolean {
  for (const clauses of alternatives) {
    if (firstFailing(clauses, facts, claims) === -1) return true;
  }
  return false;
}

/** Does the rule match: some entry of `to` AND some entry of `from` AND all of `when`? */
export function matchesRule(rule: CompiledRule, facts: RequestFacts, claims: Claims | undefined): boolean {
  return someHolds(rule.to, facts, claims) && someHolds(rule.from, facts, claims) && firstFailing(rule.when, facts, claims) === -1;
}

/** The first rule that matches; `undefined`: none. */
export function firstMatch(rules: readonly CompiledRule[], facts: RequestFacts, claims: Claims | undefined): Rule | undefined {
  for (const rule of rules) {
    if (matchesRule(rule, facts, claims)) return rule.rule;
  }
  return undefined;
}
