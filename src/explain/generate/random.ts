/*
 * Seeded random numbers, so that a run can be repeated.
 */

/** A whole number from 0 to `below - 1`. */
export type Random = (below: number) => number;

/** Mulberry32: a small seeded generator, good enough to pick values. @param seed whole number */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** One of `values`; undefined for an empty array. */
export function pick<T>(values: readonly T[], random: Random): T | undefined {
  return values[random(values.length)];
}

/** The first value that passes `test`, starting at a random one and wrapping around. */
export function pickPassing<T>(values: readonly T[], test: (value: T) => boolean, random: Random): { readonly value: T } | undefined {
  const start = random(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = values[(start + index) % values.length] as T;
    if (test(value)) return { value };
  }
  return undefined;
}
