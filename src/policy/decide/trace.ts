/*
 * Explains why a rule matched or not: for each alternative the first clause that did not hold, with the request's value and the expected
 * ones, and how near the rule came to a match. Not used on the path of a request.
 */
import type { Claims, RequestFacts } from '../facts.ts';
import type { CompiledClause, CompiledRule } from './compile-rules.ts';
import type { ClauseHit, ClauseMiss, RuleTrace } from './decision.ts';
import { hintFor, holdsNote, sawOf, wantedOf } from './explain-clause.ts';

/** What a rule is traced with. */
export interface TraceContext {
  readonly action: RuleTrace['action'];
  readonly dryRun: boolean;
  readonly facts: RequestFacts;
  /** The claims that the rule may read; `undefined` for CUSTOM. */
  readonly claims: Claims | undefined;
}

/** One alternative of a rule: clauses that must all hold. */
interface Alternative {
  readonly clauses: readonly CompiledClause[];
  readonly pathOf: (clause: CompiledClause, index: number) => string;
}

/** The evaluation of an alternative. */
interface Evaluation {
  readonly alternative: Alternative;
  /** Number of clauses that held; a near miss counts half. */
  readonly held: number;
  /** The first clause that did not hold; absent: all held. */
  readonly miss?: ClauseMiss;
}

const HALF = 0.5;

function missOf(
  { clause }: CompiledClause,
  path: string,
  { facts, claims }: TraceContext,
): { readonly miss: ClauseMiss; readonly near: boolean } {
  const hint = hintFor(clause, facts, claims);
  const hinted = hint === undefined ? {} : { hint: hint.message };
  return { miss: { path, saw: sawOf(clause, facts, claims), wanted: wantedOf(clause), ...hinted }, near: hint?.near === true };
}

function hitOf({ clause }: CompiledClause, path: string, { facts, claims }: TraceContext): ClauseHit {
  const note = holdsNote(clause, facts, claims);
  return { path, saw: sawOf(clause, facts, claims), wanted: wantedOf(clause), ...(note === undefined ? {} : { note }) };
}

function evaluationOf(alternative: Alternative, context: TraceContext): Evaluation {
  const { clauses, pathOf } = alternative;
  const results = clauses.map(({ test }) => test(context.facts, context.claims));
  const held = results.filter(Boolean).length;
  const index = results.indexOf(false);
  const failing = clauses[index];
  if (failing === undefined) return { alternative, held };
  const { miss, near } = missOf(failing, pathOf(failing, index), context);
  return { alternative, held: held + (near ? HALF : 0), miss };
}

/** The share of clauses that held, from 0 to 1. */
function shareOf({ held, alternative }: Evaluation): number {
  return alternative.clauses.length === 0 ? 1 : held / alternative.clauses.length;
}

/** Evaluates alternatives: best first, equal ones as written. */
function evaluationsOf(alternatives: readonly Alternative[], context: TraceContext): readonly Evaluation[] {
  return alternatives.map((alternative) => evaluationOf(alternative, context)).toSorted((one, other) => shareOf(other) - shareOf(one));
}

/** The three parts of a rule; one alternative of each must hold. */
function partsOf({ from, to, when }: CompiledRule): readonly (readonly Alternative[])[] {
  const part = (name: 'from' | 'to', entries: CompiledRule['from']): readonly Alternative[] =>
    entries.map((clauses, entry) => ({ clauses, pathOf: ({ clause }) => `${name}[${entry}].${clause.field}` }));
  return [part('from', from), part('to', to), [{ clauses: when, pathOf: ({ clause }, index) => `when[${index}] ${clause.field}` }]];
}

/** Evaluates one rule and explains the result. */
export function traceRule(compiled: CompiledRule, context: TraceContext): RuleTrace {
  const parts = partsOf(compiled).map((alternatives) => evaluationsOf(alternatives, context));
  const best = parts.flatMap(([first]) => first ?? []);
  const matched = best.every(({ miss }) => miss === undefined);
  const total = best.reduce((sum, { alternative }) => sum + alternative.clauses.length, 0);
  const held = best.reduce((sum, evaluation) => sum + evaluation.held, 0);
  return {
    action: context.action,
    dryRun: context.dryRun,
    rule: compiled.rule,
    matched,
    nearness: matched || total === 0 ? 1 : held / total,
    misses: missesOf(parts),
    hits: matched ? best.flatMap(({ alternative }) => hitsOf(alternative, context)) : [],
  };
}

/** The misses of all parts that do not hold, one per alternative, nearest first. */
function missesOf(parts: readonly (readonly Evaluation[])[]): readonly ClauseMiss[] {
  const failed = parts.filter(([first]) => first?.miss !== undefined).flat();
  return failed.toSorted((one, other) => shareOf(other) - shareOf(one)).map(({ miss }) => miss as ClauseMiss);
}

function hitsOf({ clauses, pathOf }: Alternative, context: TraceContext): readonly ClauseHit[] {
  return clauses.map((clause, index) => hitOf(clause, pathOf(clause, index), context));
}
