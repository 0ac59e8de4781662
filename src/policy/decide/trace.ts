/*
 * Why a rule matched or did not. In: a compiled rule and facts. Out: per alternative the first clause that failed, with what
 * it saw and what it wanted, and how near the rule came. Only for people: never on the path of a request.
 */
import type { Claims, RequestFacts } from '../facts.ts';
import type { CompiledClause, CompiledRule } from './compile-rules.ts';
import type { ClauseHit, ClauseMiss, RuleTrace } from './decision.ts';
import { hintFor, holdsNote, sawOf, wantedOf } from './explain-clause.ts';

export interface TraceContext {
  readonly action: RuleTrace['action'];
  readonly dryRun: boolean;
  readonly facts: RequestFacts;
  /** Claims that the rule may see: none for CUSTOM. */
  readonly claims: Claims | undefined;
}

/** One alternative of a rule: clauses that must all hold. */
interface Alternative {
  readonly clauses: readonly CompiledClause[];
  readonly pathOf: (clause: CompiledClause, index: number) => string;
}

/** How an alternative fared. */
interface Tally {
  readonly alternative: Alternative;
  /** Clauses that held; one that all but held counts half. */
  readonly held: number;
  /** The first clause that failed; absent: none did. */
  readonly miss?: ClauseMiss;
}

const HALF = 0.5;

function missOf(
  { clause }: CompiledClause,
  path: string,
  { facts, claims }: TraceContext,
): { readonly miss: ClauseMiss; readonly near: boolean } {
  const hint = hintFor(clause, facts, claims);
  const said = hint === undefined ? {} : { hint: hint.text };
  return { miss: { path, saw: sawOf(clause, facts, claims), wanted: wantedOf(clause), ...said }, near: hint?.near === true };
}

function hitOf({ clause }: CompiledClause, path: string, { facts, claims }: TraceContext): ClauseHit {
  const note = holdsNote(clause, facts, claims);
  return { path, saw: sawOf(clause, facts, claims), wanted: wantedOf(clause), ...(note === undefined ? {} : { note }) };
}

function tallyOf(alternative: Alternative, context: TraceContext): Tally {
  const { clauses, pathOf } = alternative;
  const results = clauses.map(({ test }) => test(context.facts, context.claims));
  const held = results.filter(Boolean).length;
  const index = results.indexOf(false);
  const failing = clauses[index];
  if (failing === undefined) return { alternative, held };
  const { miss, near } = missOf(failing, pathOf(failing, index), context);
  return { alternative, held: held + (near ? HALF : 0), miss };
}

/** The share that held, from 0 to 1. */
function shareOf({ held, alternative }: Tally): number {
  return alternative.clauses.length === 0 ? 1 : held / alternative.clauses.length;
}

/** Best first; equal ones as written. */
function talliesOf(alternatives: readonly Alternative[], context: TraceContext): readonly Tally[] {
  return alternatives.map((alternative) => tallyOf(alternative, context)).toSorted((one, other) => shareOf(other) - shareOf(one));
}

/** The parts of a rule that must each hold by one of its alternatives. */
function partsOf({ from, to, when }: CompiledRule): readonly (readonly Alternative[])[] {
  const part = (name: 'from' | 'to', entries: CompiledRule['from']): readonly Alternative[] =>
    entries.map((clauses, entry) => ({ clauses, pathOf: ({ clause }) => `${name}[${entry}].${clause.field}` }));
  return [part('from', from), part('to', to), [{ clauses: when, pathOf: ({ clause }, index) => `when[${index}] ${clause.field}` }]];
}

/** How one rule fared. */
export function traceRule(compiled: CompiledRule, context: TraceContext): RuleTrace {
  const parts = partsOf(compiled).map((alternatives) => talliesOf(alternatives, context));
  const best = parts.flatMap(([first]) => first ?? []);
  const matched = best.every(({ miss }) => miss === undefined);
  const total = best.reduce((sum, { alternative }) => sum + alternative.clauses.length, 0);
  const held = best.reduce((sum, tally) => sum + tally.held, 0);
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

/** Nearest first. A part of which one alternative holds misses nothing; of every other part each alternative has missed. */
function missesOf(parts: readonly (readonly Tally[])[]): readonly ClauseMiss[] {
  const failed = parts.filter(([first]) => first?.miss !== undefined).flat();
  return failed.toSorted((one, other) => shareOf(other) - shareOf(one)).map(({ miss }) => miss as ClauseMiss);
}

function hitsOf({ clauses, pathOf }: Alternative, context: TraceContext): readonly ClauseHit[] {
  return clauses.map((clause, index) => hitOf(clause, pathOf(clause, index), context));
}
