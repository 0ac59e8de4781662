/*
 * The ratio of paired measurements with its confidence interval.
 */

/** A ratio and its 95 % interval. */
export interface PairedRatio {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % quantiles of Student's t distribution by degrees of freedom, from 1; the last holds for more. */
const T = [
  12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.1, 2.09, 2.09, 2.08, 2.07, 2.07,
  2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04,
];

/** Geometric mean of `after / before` over the pairs, with its 95 % interval. @param pairs at least two */
export function pairedRatio(pairs: readonly (readonly [before: number, after: number])[]): PairedRatio {
  const logs = pairs.map(([before, after]) => Math.log(after / before));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const t = T[Math.min(logs.length - 1, T.length) - 1] ?? 2.04;
  const half = t * Math.sqrt(variance / logs.length);
  return { ratio: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}
