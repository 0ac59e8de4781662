/*
 * A sample of the mutants of a package in which every kind of change is represented.
 */
import { createHash } from 'node:crypto';
import type { Mutant } from './find-mutants.ts';

/** `count` mutants, as evenly from all operators as they have any. The same `seed` gives the same sample. */
export function sampleMutants(mutants: readonly Mutant[], count: number, seed: string): readonly Mutant[] {
  const rankOf = ({ id }: Mutant): string => createHash('sha256').update(`${seed}\n${id}`).digest('hex');
  const ranked = mutants.map((mutant) => ({ mutant, rank: rankOf(mutant) })).sort((one, other) => (one.rank < other.rank ? -1 : 1));
  const strata = [...Map.groupBy(ranked, ({ mutant }) => mutant.operator).values()];
  return inTurns(strata)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}

/** The first of each list, then the second of each, and so on. */
export function inTurns<Item>(lists: readonly (readonly Item[])[]): readonly Item[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, turn) => lists.flatMap((list) => list.slice(turn, turn + 1))).flat();
}
