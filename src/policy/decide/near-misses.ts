/*
 * Finds the ALLOW rule that a denied request came nearest to, for the access log. It counts the failing clauses of every rule, which costs
 * little, and traces only the rules with the fewest, so that it names the same rule as explain.
 */
import type { Claims, RequestFacts } from '../facts.ts';
import type { Rule } from '../model/program.ts';
import { type CompiledClause, type CompiledRule, compileRules } from './compile-rules.ts';
import type { NearMiss, NearMisses } from './decision.ts';
import { traceRule } from './trace.ts';

/** Further rules are not compared: the cost of one search is bounded, and so is the memory of compiled rules. */
const MAX_RULES = 1000;
/** At most this number of the rules with the fewest failing clauses is traced. */
const MAX_TRACED = 16;

/** Near misses among `rules`. Nothing is compiled before the first search. */
export function createNearMisses(rules: readonly Rule[]): NearMisses {
  const compared = rules.length > MAX_RULES ? rules.slice(0, MAX_RULES) : rules;
  let compiled: readonly CompiledRule[] | undefined;
  let policies: number | undefined;
  return {
    get policies() {
      return (policies ??= new Set(compared.map(({ source }) => `${source.namespace}/${source.name}`)).size);
    },
    nearest(facts) {
      compiled ??= compileRules(compared);
      return nearestOf(nearestRules(compiled, facts), facts);
    },
  };
}

function nearestRules(rules: readonly CompiledRule[], facts: RequestFacts): readonly CompiledRule[] {
  let fewest = Number.POSITIVE_INFINITY;
  let nearest: CompiledRule[] = [];
  for (const rule of rules) {
    const failing = failingOf(rule, facts);
    if (failing > fewest) continue;
    if (failing < fewest) nearest = [];
    fewest = failing;
    if (nearest.length < MAX_TRACED) nearest.push(rule);
  }
  return nearest;
}

/** Number of failing clauses in the nearest alternatives. Clauses that fail because there is no token count once. */
function failingOf({ from, to, when }: CompiledRule, facts: RequestFacts): number {
  const { claims } = facts;
  const failing = fewestOf(from, facts, claims) + fewestOf(to, facts, claims) + countOf(when, facts, claims);
  const withoutToken = failing % TOKEN === 0 ? 0 : 1;
  return Math.floor(failing / TOKEN) + withoutToken;
}

/** Counts are numbers of clauses times this, plus the number of parts that lack a token: two numbers without an allocation. */
const TOKEN = 8;

function fewestOf(alternatives: readonly (readonly CompiledClause[])[], facts: RequestFacts, claims: Claims | undefined): number {
  let fewest = Number.POSITIVE_INFINITY;
  for (const clauses of alternatives) {
    const failing = countOf(clauses, facts, claims);
    if (failing < fewest) fewest = failing;
  }
  return fewest;
}

function countOf(clauses: readonly CompiledClause[], facts: RequestFacts, claims: Claims | undefined): number {
  let failing = 0;
  let withoutToken = 0;
  for (const { clause, test } of clauses) {
    if (test(facts, claims)) continue;
    if (claims === undefined && (clause.attribute === 'claim' || clause.attribute === 'requestPrincipal')) withoutToken = 1;
    else failing += 1;
  }
  return failing * TOKEN + withoutToken;
}

function nearestOf(rules: readonly CompiledRule[], facts: RequestFacts): NearMiss | undefined {
  const context = { action: 'ALLOW', dryRun: false, facts, claims: facts.claims } as const;
  const [nearest] = rules
    .map((rule) => traceRule(rule, context))
    .toSorted((one, other) => one.failing - other.failing || other.nearness - one.nearness);
  const miss = nearest?.misses[0];
  return nearest === undefined || miss === undefined
    ? undefined
    : { source: nearest.rule.source, clause: miss.path, failing: nearest.failing };
}
