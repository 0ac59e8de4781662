/*
 * Every entry point with every hostile shape: CPU time may grow at most five times when the text grows four times, from 256 KiB to 1 MiB
 * (`--quick`: from 64 to 256 KiB). Prints what grows faster, and the slowest shape of each entry point.
 * `npm run growth [-- --quick] [-- ENTRY_POINT...]`.
 */
import { entryPoints, shareOf } from './entry-points.ts';
import { measureGrowth, superLinearGrowth } from './measure.ts';
import { SHAPES } from './shapes.ts';

const isQuick = process.argv.includes('--quick');
const LENGTH = (isQuick ? 64 : 256) * 1024;
const filters = process.argv.slice(2).filter((argument) => argument !== '--quick');
let failed = 0;
for (const [name, point] of Object.entries(entryPoints())) {
  if (filters.length > 0 && !filters.some((filter) => name.includes(filter))) continue;
  let slowest = { shape: '', largeMs: -1 };
  for (const [shape, make] of Object.entries(SHAPES)) {
    const growth = await measureGrowth((length) => point.run(make(shareOf(point, length))), LENGTH);
    const fault = superLinearGrowth(growth);
    if (fault !== undefined) {
      failed += 1;
      process.stdout.write(`${name}: ${shape}: ${fault}\n`);
    }
    if (growth.largeMs > slowest.largeMs) slowest = { shape, largeMs: growth.largeMs };
  }
  process.stdout.write(`${name}: at most ${slowest.largeMs.toFixed(0)} ms for ${LENGTH / 256} KiB (${slowest.shape})\n`);
  point.dispose();
}
process.exitCode = failed === 0 ? 0 : 1;
