/*
 * Measures CPU time of two proxies in turns, and prints the ratio of the pairs with its 95 % interval.
 */
import { pairedRatio } from './paired-ratio.ts';
import type { Pinned } from './processes.ts';
import { reportRatio, TOLERANCE } from './ratios.ts';

/** A proxy under measurement. */
export interface Side {
  readonly name: string;
  readonly process: Pinned;
  readonly port: number;
}

/** What is measured. */
export interface Work {
  /** Benchmark and shape, for the name of the ratio. */
  readonly parts: readonly string[];
  /** What the CPU time is divided by, such as `handshake`. */
  readonly unit: string;
  /** Number of pairs, at least two. */
  readonly pairs: number;
  /** Does the work through `port`. @returns how many units were done */
  readonly run: (port: number) => Promise<number>;
}

/** Both proxies do `work` in turns, after one round that is not counted. @param sides the agent, then its peer */
export async function compareSides(sides: readonly [Side, Side], { parts, unit, pairs, run }: Work): Promise<void> {
  const measure = async ({ process, port }: Side): Promise<{ readonly micros: number; readonly rate: number }> => {
    const [before, startMs] = [process.cpuNanos(), performance.now()];
    const units = await run(port);
    return { micros: (process.cpuNanos() - before) / 1000 / units, rate: units / ((performance.now() - startMs) / 1000) };
  };
  const results: [number[], number[]] = [[], []];
  const rates: [number[], number[]] = [[], []];
  for (let pair = -1; pair < pairs; pair += 1) {
    for (const at of pair % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const { micros, rate } = await measure(sides[at]);
      if (pair < 0) continue;
      results[at].push(micros);
      rates[at].push(rate);
    }
  }
  const { ratio, low, high } = pairedRatio(results[1].map((theirs, at) => [theirs, results[0][at] ?? Number.NaN]));
  const show = (at: 0 | 1): string => `${sides[at].name} ${median(results[at]).toFixed(1)} us a ${unit}, ${median(rates[at]).toFixed(1)}/s`;
  process.stdout.write(
    `${parts.slice(1).join(', ')}: ${show(0)}; ${show(1)}; CPU ratio ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}), speed on one core ${(1 / ratio).toFixed(2)}x\n`,
  );
  reportRatio([...parts, `CPU to ${sides[1].name}`], ratio, TOLERANCE.cpu);
}

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
