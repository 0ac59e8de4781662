/*
 * Sorts in steps: runs of the array by the engine's own sort, which are then merged.
 */
import type { Steps } from '../../../../steps.ts';

/** Elements that one step sorts or merges. */
const PER_STEP = 512;

/** A sorted copy, as by `toSorted`. @param compare as for `toSorted` */
export function* sortInSteps<T>(values: readonly T[], compare: (left: T, right: T) => number): Steps<T[]> {
  let sorted: T[] = [];
  for (let from = 0; from < values.length; from += PER_STEP) {
    for (const value of values.slice(from, from + PER_STEP).sort(compare)) sorted.push(value);
    yield;
  }
  for (let run = PER_STEP; run < sorted.length; run *= 2) sorted = yield* mergeRuns(sorted, run, compare);
  return sorted;
}

/** Merges every two neighbouring runs of `run` elements. */
function* mergeRuns<T>(values: readonly T[], run: number, compare: (left: T, right: T) => number): Steps<T[]> {
  const merged: T[] = [];
  for (let from = 0; from < values.length; from += 2 * run) {
    const middle = Math.min(from + run, values.length);
    const end = Math.min(middle + run, values.length);
    let left = from;
    let right = middle;
    while (left < middle || right < end) {
      const takesLeft = right === end || (left < middle && compare(values[left] as T, values[right] as T) <= 0);
      merged.push(values[takesLeft ? left++ : right++] as T);
      if (merged.length % PER_STEP === 0) yield;
    }
  }
  return merged;
}
