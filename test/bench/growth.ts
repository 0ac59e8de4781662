/*
 * CPU time of each entry point of the control plane and the command line for 1 MiB of hostile text: the median and the slowest of the
 * shapes of test/growth. The goal is at most one second. `node test/bench/growth.ts [--quick]`: with every fifth shape.
 */
import { entryPoints, shareOf } from '../growth/entry-points.ts';
import { cpuMs } from '../growth/measure.ts';
import { SHAPES } from '../growth/shapes.ts';
import { printTable } from './support/table.ts';

const LENGTH = 1024 * 1024;
const GOAL_MS = 1000;
const step = process.argv.includes('--quick') ? 5 : 1;
const shapes = Object.entries(SHAPES).filter((_, at) => at % step === 0);

const rows: string[][] = [];
for (const [name, point] of Object.entries(entryPoints())) {
  const times: { readonly shape: string; readonly ms: number }[] = [];
  for (const [shape, make] of shapes) {
    const text = make(shareOf(point, LENGTH));
    times.push({ shape, ms: await cpuMs(() => point.run(text)) });
  }
  point.dispose();
  const sorted = times.toSorted((one, other) => one.ms - other.ms);
  const [median, slowest] = [sorted[sorted.length >> 1], sorted.at(-1)];
  rows.push([
    name,
    (median?.ms ?? 0).toFixed(0),
    (slowest?.ms ?? 0).toFixed(0),
    slowest?.shape ?? '',
    (slowest?.ms ?? 0) <= GOAL_MS ? '' : 'over the goal',
  ]);
}
printTable([['entry point', 'median ms', 'slowest ms', 'slowest shape', ''], ...rows]);
