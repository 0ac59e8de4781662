/*
 * `npm run soak [-- --seconds N]`: the soak test, ten minutes when absent. Prints progress and a table; exits 1 when something is wrong.
 */
import { parseArgs } from 'node:util';
import { faultsOf, soak, tableOf } from './soak.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' } } });
const seconds = Number(values.seconds);
const WARM_UP_SECONDS = Math.min(60, Math.floor(seconds / 3));
const KILL_EVERY_SECONDS = seconds < 120 ? 4 : 15;
/** Memory that the agent may gain after the first minute. */
const GROWTH_MIB = 10;

const report = await soak({
  seconds,
  warmUpSeconds: WARM_UP_SECONDS,
  killEverySeconds: KILL_EVERY_SECONDS,
  progress: (line) => process.stdout.write(`${line}\n`),
});
const faults = faultsOf(report, GROWTH_MIB);
process.stdout.write(
  `\n${tableOf(report)
    .map(([name, value]) => `${name.padEnd(38)} ${value}`)
    .join('\n')}\n\n`,
);
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.stdout.write(faults.length === 0 ? 'ok\n' : `${faults.length} faults\n`);
process.exit(faults.length === 0 ? 0 : 1);
