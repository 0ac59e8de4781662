/*
 * How large the indexes of a program become. Controller and agent count in the same way, so that a program that is published is accepted.
 */
import type { Clause, Program, Rule, Ruleset } from './program.ts';

/** A path template takes about twice the memory of any other value. */
const TEMPLATE_VALUES = 2;

/** The number of values that the rules and providers of a program name: what the memory of its indexes is in proportion to. */
export function valuesOf({ providers, http, tcp }: Program): number {
  let values = 0;
  for (const { audiences, headers, params, cookies, claimHeaders, spaceDelimitedClaims } of providers) {
    values += 1 + audiences.length + headers.length + params.length + cookies.length + claimHeaders.length + spaceDelimitedClaims.length;
  }
  return values + valuesOfRuleset(http) + valuesOfRuleset(tcp);
}

function valuesOfRuleset({ custom, audit, deny, allow, dryRunDeny, dryRunAllow }: Ruleset): number {
  let values = 0;
  for (const step of custom) values += valuesOfRules(step.rules);
  for (const { rules } of [audit, deny, allow, dryRunDeny, dryRunAllow]) values += valuesOfRules(rules);
  return values;
}

function valuesOfRules(rules: readonly Rule[]): number {
  let values = rules.length;
  for (const { from, to, when } of rules) {
    for (const clauses of [...from, ...to, when]) for (const clause of clauses) values += valuesOfClause(clause);
  }
  return values;
}

function valuesOfClause(clause: Clause): number {
  const count = (clause.anyOf?.length ?? 0) + (clause.noneOf?.length ?? 0);
  if (clause.attribute !== 'path') return 1 + count;
  const templates = [...(clause.anyOf ?? []), ...(clause.noneOf ?? [])].filter(({ kind }) => kind === 'template').length;
  return 1 + count + templates * (TEMPLATE_VALUES - 1);
}
