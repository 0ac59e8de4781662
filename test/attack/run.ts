/*
 * Runs all cases on a proxy, each lane taking the next case when it is done with one.
 */
import type { AnswerCase, RequestCase } from './case.ts';
import type { Lane, Observation } from './lane.ts';

/** One of the two kinds. */
export type AttackCase = RequestCase | AnswerCase;

/** What each case did, by name. */
export async function runAll(lanes: readonly Lane[], cases: readonly AttackCase[]): Promise<ReadonlyMap<string, Observation>> {
  const observations = new Map<string, Observation>();
  let next = 0;
  const work = async (lane: Lane): Promise<void> => {
    for (let item = cases[next++]; item !== undefined; item = cases[next++]) {
      observations.set(item.name, await ('steps' in item ? lane.answer(item) : lane.request(item)));
    }
  };
  await Promise.all(lanes.map(work));
  return observations;
}
