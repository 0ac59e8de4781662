/*
 * CPU time of one step at a length and at four times that length.
 */

/** CPU time of a step in milliseconds. */
export interface Growth {
  readonly smallMs: number;
  readonly largeMs: number;
}

/** Four times the input may take five times as long. Quadratic work would take 16 times as long. */
const MOST = 5;
/** What no text explains: compilation, and collections of garbage that are due at some size. */
const FLOOR_MS = 250;
const REPEATS = 6;

/** Why the growth is more than linear; undefined: it is not. */
export function superLinearGrowth({ smallMs, largeMs }: Growth): string | undefined {
  const allowed = MOST * smallMs + FLOOR_MS;
  return largeMs <= allowed ? undefined : `${largeMs.toFixed(0)} ms for four times what takes ${smallMs.toFixed(0)} ms`;
}

/**
 * Runs `step` with texts of both lengths, again if the growth is not yet known to be linear: the least time of several runs is that of
 * the work itself, whatever else the machine does.
 */
export async function measureGrowth(step: (length: number) => unknown, length: number): Promise<Growth> {
  let growth: Growth = { smallMs: Number.POSITIVE_INFINITY, largeMs: Number.POSITIVE_INFINITY };
  for (let run = 0; run < REPEATS; run += 1) {
    const largeMs = Math.min(growth.largeMs, await cpuMs(() => step(4 * length)));
    // Below the floor the small text need not be measured.
    const smallMs = largeMs <= FLOOR_MS ? 0 : Math.min(growth.smallMs, await cpuMs(() => step(length)));
    growth = { smallMs, largeMs };
    if (superLinearGrowth(growth) === undefined) return growth;
  }
  return growth;
}

/** CPU time of the process while `step` runs. */
export async function cpuMs(step: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await step();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
