/*
 * The ways in which a rule can be made to hold, or to fail, as constraints on attributes.
 */
import type { RequestFacts } from '../policy/facts.ts';
import { lookUpClaim } from '../policy/match/claim.ts';
import { compileClause } from '../policy/match/compile-clause.ts';
import { compileRequestPrincipal } from '../policy/match/request-principal.ts';
import type { Clause, RequestPrincipalMatch, Rule } from '../policy/model/program.ts';
import { EMPTY_FACTS } from './candidate.ts';
import { type Conjunction, type ConstraintTable, excludePair, waysToFail, waysToHold } from './constraint.ts';
import { SENT, type View } from './view.ts';

/** Negative lists of principals of a rule that has to hold: their pairs are excluded when a candidate matches one. */
export interface Guard {
  readonly pairs: readonly RequestPrincipalMatch[];
  readonly slot: 0 | 1;
}

/** One way to make a rule hold. */
export interface RuleWay {
  readonly constraints: Conjunction;
  readonly guards: readonly Guard[];
}

/** How clauses become constraints. */
export interface WaysContext {
  readonly protocol: 'http' | 'tcp';
  readonly table: ConstraintTable;
}

const CONNECTION: ReadonlySet<Clause['attribute']> = new Set(['sourceIp', 'remoteIp', 'destinationIp', 'destinationPort', 'peer', 'sni']);

/** A connection has no proxy in front, so its remote address is that of its peer. */
function onConnection(clause: Clause): Clause {
  return clause.attribute === 'remoteIp' ? { ...clause, attribute: 'sourceIp' } : clause;
}

function holds(clause: Clause, view: View, { protocol, table }: WaysContext): readonly Conjunction[] {
  if (protocol === 'http') return waysToHold(clause, view, table);
  if (CONNECTION.has(clause.attribute)) return waysToHold(onConnection(clause), SENT, table);
  return compileClause(clause)(EMPTY_FACTS, undefined) ? [[]] : [];
}

/** Every way in which the rule holds for a filter with this view. */
export function* waysForRule(rule: Rule, view: View, context: WaysContext): Generator<RuleWay> {
  const { slot } = view;
  for (const from of rule.from) {
    for (const to of rule.to) {
      const clauses = [...to, ...from, ...rule.when];
      for (const constraints of product(clauses.map((clause) => holds(clause, view, context)))) {
        yield { constraints, guards: slot === undefined ? [] : clauses.flatMap((clause) => guardOf(clause, slot)) };
      }
    }
  }
}

function guardOf(clause: Clause, slot: 0 | 1): readonly Guard[] {
  return clause.attribute === 'requestPrincipal' && clause.noneOf !== undefined ? [{ pairs: clause.noneOf, slot }] : [];
}

function* product(choices: readonly (readonly Conjunction[])[], at = 0): Generator<Conjunction> {
  const own = choices[at];
  if (own === undefined) {
    yield [];
    return;
  }
  for (const one of own) for (const rest of product(choices, at + 1)) yield [...one, ...rest];
}

/** Does the candidate match the pair? */
function pairTest(facts: RequestFacts): (pair: RequestPrincipalMatch) => boolean {
  return (pair) => compileRequestPrincipal(pair)(lookUpClaim(facts.claims, ['iss']), lookUpClaim(facts.claims, ['sub']));
}

/** The alternatives of which one must be true for the guard to hold; undefined: it holds for the candidate. */
export function waysToGuard({ pairs, slot }: Guard, facts: RequestFacts, { table }: WaysContext): readonly Conjunction[] | undefined {
  return excludePair(pairs, slot, table, pairTest(facts));
}

/**
 * The alternatives of which one must be true for the rule to fail, given a candidate that it matches. Only the entries of `from` and `to`
 * that the candidate matches count: the others are looked at when a later candidate matches them.
 */
export function waysToBreak(rule: Rule, facts: RequestFacts, view: View, context: WaysContext): readonly Conjunction[] {
  const matches = (clauses: readonly Clause[]): boolean =>
    clauses.every((clause) => compileClause(clause)(facts, view.slot === undefined ? undefined : facts.claims));
  const clauses = [...(rule.to.find(matches) ?? []), ...(rule.from.find(matches) ?? []), ...rule.when];
  return clauses.flatMap((clause) => {
    if (context.protocol === 'http') return waysToFail(clause, view, context.table, pairTest(facts));
    return CONNECTION.has(clause.attribute) ? waysToFail(onConnection(clause), SENT, context.table, pairTest(facts)) : [];
  });
}
