/*
 * Why a rule matched or did not. In: a compiled rule and facts. Out: per alternative the first clause that failed, with what
 * it saw and what it wanted. Only for people: never on the path of a request.
 */
import type { RequestFacts } from '../request/facts.ts';
import type { Claims } from './compile-clause.ts';
import { type CompiledClause, type CompiledRule, firstFailing } from './compile-rules.ts';
import type { ClauseMiss, RuleTrace } from './decision.ts';
import { hintFor, sawOf, wantedOf } from './explain-clause.ts';

export interface TraceContext {
  readonly action: RuleTrace['action'];
  readonly dryRun: boolean;
  readonly facts: RequestFacts;
  /** Claims that the rule may see: none for CUSTOM. */
  readonly claims: Claims | undefined;
}

function missOf(compiled: CompiledClause, path: string, context: TraceContext): ClauseMiss {
  const { clause } = compiled;
  const hint = hintFor(clause, context.facts, context.claims);
  const saw = sawOf(clause, context.facts, context.claims);
  return { path, saw, wanted: wantedOf(clause), ...(hint !== undefined && { hint }) };
}

/** A miss for each alternative; none when one of them holds. */
function missesOf(
  alternatives: readonly (readonly CompiledClause[])[],
  pathOf: (index: number, clause: CompiledClause) => string,
  context: TraceContext,
): readonly ClauseMiss[] {
  const misses: ClauseMiss[] = [];
  for (const [index, clauses] of alternatives.entries()) {
    const failing = clauses[firstFailing(clauses, context.facts, context.claims)];
    if (failing === undefined) return [];
    misses.push(missOf(failing, pathOf(index, failing), context));
  }
  return misses;
}

/** How one rule fared. */
export function traceRule(compiled: CompiledRule, context: TraceContext): RuleTrace {
  const { rule, from, to, when } = compiled;
  const failing = firstFailing(when, context.facts, context.claims);
  const condition = when[failing];
  const misses = [
    ...missesOf(from, (index, { clause }) => `from[${index}].${clause.field}`, context),
    ...missesOf(to, (index, { clause }) => `to[${index}].${clause.field}`, context),
    ...(condition === undefined ? [] : [missOf(condition, `when[${failing}] ${condition.clause.field}`, context)]),
  ];
  return { action: context.action, dryRun: context.dryRun, rule, matched: misses.length === 0, misses };
}
