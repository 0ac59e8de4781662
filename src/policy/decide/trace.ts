/*
 * Explains why a rule matched or not: for each alternative the clauses that did not hold, with the request's value and the expected
 * ones, and how near the rule came to a match. Not used on the path of a request.
 */
import type { Claims, RequestFacts } from '../facts.ts';
import type { CompiledClause, CompiledRule } from './compile-rules.ts';
import type { ClauseHit, ClauseMiss, RuleTrace } from './decision.ts';
import { hintFor, holdsNote, NO_TOKEN_HINT, sawOf, wantedOf } from './explain-clause.ts';

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
  /** The clauses that did not hold, as written; empty: all held. */
  readonly misses: readonly ClauseMiss[];
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
  const failed = clauses.flatMap((clause, index) =>
    clause.test(context.facts, context.claims) ? [] : [missOf(clause, pathOf(clause, index), context)],
  );
  const near = failed.filter((one) => one.near).length;
  return { alternative, held: clauses.length - failed.length + near * HALF, misses: failed.map(({ miss }) => miss) };
}

/** The share of clauses that held, from 0 to 1. */
function shareOf({ held, alternative }: Evaluation): number {
  return alternative.clauses.length === 0 ? 1 : held / alternative.clauses.length;
}

/** Number of clauses to fix. Clauses that fail because there is no token have one fix. */
function failingOf(misses: readonly ClauseMiss[]): number {
  const withoutToken = misses.filter(({ hint }) => hint === NO_TOKEN_HINT).length;
  return misses.length - Math.max(0, withoutToken - 1);
}

/** Fewest failing clauses first, then the largest share that held; equal ones as written. */
function byNearness(one: Evaluation, other: Evaluation): number {
  return failingOf(one.misses) - failingOf(other.misses) || shareOf(other) - shareOf(one);
}

/** Evaluates alternatives, nearest first. */
function evaluationsOf(alternatives: readonly Alternative[], context: TraceContext): readonly Evaluation[] {
  return alternatives.map((alternative) => evaluationOf(alternative, context)).toSorted(byNearness);
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
  const failing = best.flatMap(({ misses }) => misses);
  const matched = failing.length === 0;
  const total = best.reduce((sum, { alternative }) => sum + alternative.clauses.length, 0);
  const held = best.reduce((sum, evaluation) => sum + evaluation.held, 0);
  return {
    action: context.action,
    dryRun: context.dryRun,
    rule: compiled.rule,
    matched,
    failing: failingOf(failing),
    nearness: matched || total === 0 ? 1 : held / total,
    misses: missesOf(parts),
    hits: matched ? best.flatMap(({ alternative }) => hitsOf(alternative, context)) : [],
  };
}

/** The misses of all parts that do not hold: those of the nearest alternative of each part, then those of the others. */
function missesOf(parts: readonly (readonly Evaluation[])[]): readonly ClauseMiss[] {
  const failed = parts.filter(([first]) => first !== undefined && first.misses.length > 0);
  const nearest = failed.flatMap(([first]) => first ?? []).toSorted(byNearness);
  const others = failed.flatMap(([, ...rest]) => rest).toSorted(byNearness);
  return [...nearest, ...others].flatMap(({ misses }) => misses);
}

function hitsOf({ clauses, pathOf }: Alternative, context: TraceContext): readonly ClauseHit[] {
  return clauses.map((clause, index) => hitOf(clause, pathOf(clause, index), context));
}
