/*
 * Every entry point with every hostile shape: CPU time may grow at most five times when the text grows four times, from 256 KiB to 1 MiB
 * (`--quick`: from 64 to 256 KiB), and 1 MiB may take a second. Prints what grows faster or takes longer, and the slowest shape of each
 * entry point. `--results FILE` keeps each measurement, so that the next run with the file continues after it; `--minutes N` stops early
 * and exits with 75; `--every N` takes every Nth shape, others for each entry point.
 * `npm run growth [-- --quick] [-- --every N] [-- --results FILE] [-- --minutes N] [-- ENTRY_POINT...]`.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type EntryPoint, entryPoints, shareOf } from './entry-points.ts';
import { type Growth, measureGrowth, superLinearGrowth } from './measure.ts';
import { SHAPES } from './shapes.ts';

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    every: { type: 'string', default: '1' },
    results: { type: 'string' },
    minutes: { type: 'string', default: 'Infinity' },
  },
});
const LENGTH = (options.quick ? 64 : 256) * 1024;
const GOAL_MS = 1000;
const UNFINISHED = 75;
const every = Number(options.every);
const endMs = performance.now() + Number(options.minutes) * 60_000;

interface Measured extends Growth {
  readonly point: string;
  readonly shape: string;
}

const known = new Map<string, Measured>(readResults().map((one) => [keyOf(one), one]));

function keyOf({ point, shape }: Pick<Measured, 'point' | 'shape'>): string {
  return JSON.stringify([point, shape]);
}

function readResults(): readonly Measured[] {
  if (options.results === undefined || !existsSync(options.results)) return [];
  const lines = readFileSync(options.results, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Measured);
}

async function measure(point: string, shape: string, entry: EntryPoint): Promise<Measured> {
  const make = SHAPES[shape] as (length: number) => string;
  const growth = await measureGrowth((length) => entry.run(make(shareOf(entry, length))), LENGTH);
  const measured = { point, shape, ...growth };
  if (options.results !== undefined) appendFileSync(options.results, `${JSON.stringify(measured)}\n`);
  return measured;
}

function faultOf(measured: Measured): string | undefined {
  const growth = superLinearGrowth(measured);
  if (growth !== undefined || measured.largeMs <= GOAL_MS) return growth;
  return `${measured.largeMs.toFixed(0)} ms`;
}

let failed = 0;
let isFinished = true;
for (const [nth, [point, entry]] of Object.entries(entryPoints()).entries()) {
  if (isFinished && (filters.length === 0 || filters.some((filter) => point.includes(filter)))) {
    const all: Measured[] = [];
    for (const shape of Object.keys(SHAPES).filter((_, at) => at % every === nth % every)) {
      const earlier = known.get(keyOf({ point, shape }));
      isFinished = earlier !== undefined || performance.now() < endMs;
      if (!isFinished) break;
      const measured = earlier ?? (await measure(point, shape, entry));
      all.push(measured);
      const fault = faultOf(measured);
      if (fault === undefined) continue;
      failed += 1;
      process.stdout.write(`${point}: ${shape}: ${fault}\n`);
    }
    const [slowest] = all.toSorted((one, other) => other.largeMs - one.largeMs);
    if (isFinished && slowest !== undefined)
      process.stdout.write(`${point}: at most ${slowest.largeMs.toFixed(0)} ms for ${LENGTH / 256} KiB (${slowest.shape})\n`);
  }
  entry.dispose();
}
process.exitCode = failed > 0 ? 1 : isFinished ? 0 : UNFINISHED;
