/*
 * How near a rule came to a match. In: the trace of a rule. Out: the share of its clauses that held. Nothing is evaluated
 * anew: the position of the first clause that failed tells how many held before it.
 */
import type { ClauseMiss, RuleTrace } from '../policy/decide/decision.ts';
import type { Clause } from '../policy/model/program.ts';

interface Tally {
  readonly held: number;
  readonly total: number;
}

const POSITION = /^(from|to|when)\[(\d+)\][. ](.*)$/s;

/** From 0 (nothing held) to 1 (matched). Of alternatives the best counts; a rule without clauses is 1. */
export function nearnessOf({ rule, matched, misses }: RuleTrace): number {
  if (matched) return 1;
  const tallies = [alternatives('from', rule.from, misses), alternatives('to', rule.to, misses), conditions(rule.when, misses)];
  const held = tallies.reduce((sum, tally) => sum + tally.held, 0);
  const total = tallies.reduce((sum, tally) => sum + tally.total, 0);
  return total === 0 ? 1 : held / total;
}

/** The misses with those first whose alternative held longest, and those that know what would mend them. */
export function sortMisses({ rule, misses }: RuleTrace): readonly ClauseMiss[] {
  const weigh = (miss: ClauseMiss): number => {
    const [, part, index, field] = POSITION.exec(miss.path) ?? [];
    const clauses = part === 'from' ? rule.from[Number(index)] : part === 'to' ? rule.to[Number(index)] : undefined;
    return (clauses === undefined ? 0 : heldBefore(clauses, field)) + (miss.hint === undefined ? 0 : 1);
  };
  return misses.toSorted((one, other) => weigh(other) - weigh(one));
}

function alternatives(part: 'from' | 'to', entries: readonly (readonly Clause[])[], misses: readonly ClauseMiss[]): Tally {
  const best: Tally[] = entries.flatMap((clauses, index) => {
    const miss = misses.find(({ path }) => path.startsWith(`${part}[${index}].`));
    const field = miss === undefined ? undefined : POSITION.exec(miss.path)?.[3];
    const held = misses.some(({ path }) => path.startsWith(`${part}[`)) ? heldBefore(clauses, field) : clauses.length;
    return [{ held, total: clauses.length }];
  });
  return best.toSorted((one, other) => share(other) - share(one))[0] ?? { held: 0, total: 0 };
}

function conditions(clauses: readonly Clause[], misses: readonly ClauseMiss[]): Tally {
  const miss = misses.find(({ path }) => path.startsWith('when['));
  return { held: miss === undefined ? clauses.length : Number(POSITION.exec(miss.path)?.[2] ?? 0), total: clauses.length };
}

function heldBefore(clauses: readonly Clause[], field: string | undefined): number {
  return Math.max(
    0,
    clauses.findIndex((clause) => clause.field === field),
  );
}

function share({ held, total }: Tally): number {
  return total === 0 ? 1 : held / total;
}
