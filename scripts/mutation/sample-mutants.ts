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
  const longest = Math.max(0, ...strata.map(({ length }) => length));
  const inTurns = Array.from({ length: longest }, (_, turn) => strata.flatMap((stratum) => stratum.slice(turn, turn + 1))).flat();
  return inTurns.slice(0, count).map(({ mutant }) => mutant);
}
