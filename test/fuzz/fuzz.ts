/*
 * `npm run fuzz -- [--seconds N | --executions N] [--seed N] [TARGET…]`: fuzzes every parser of untrusted
 * input, guided by V8's coverage. Prints counts and the seed; exits 1 when a property does not hold.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Coverage } from './coverage.ts';
import { fuzz } from './engine.ts';
import { TARGETS } from './targets.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, executions: { type: 'string' }, seed: { type: 'string' } },
});
const unknown = positionals.find((name) => TARGETS.every((target) => target.name !== name));
if (unknown !== undefined) {
  process.stderr.write(`no target is called ${unknown}; there are: ${TARGETS.map(({ name }) => name).join(' ')}\n`);
  process.exit(2);
}
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const targets = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const executions = values.executions === undefined ? Number.POSITIVE_INFINITY : Number(values.executions);
const milliseconds = values.executions === undefined ? (Number(values.seconds) * 1000) / targets.length : Number.POSITIVE_INFINITY;

process.stdout.write(`seed ${seed}\n`);
const coverage = new Coverage();
let failed = false;
for (const target of targets) {
  const result = fuzz(target, coverage, { seed, executions, untilMs: performance.now() + milliseconds });
  const { executions: count, corpus, covered, slowestMs, violations } = result;
  process.stdout.write(
    `${violations.length === 0 ? 'ok  ' : 'FAIL'} ${target.name.padEnd(13)} ${count} inputs, ${corpus} of them with new coverage, ${covered} characters of sources reached so far, slowest ${Math.ceil(slowestMs)} ms\n`,
  );
  for (const { input, message } of violations) process.stdout.write(`     ${message}\n     input ${JSON.stringify(input)}\n`);
  failed ||= violations.length > 0;
}
coverage.stop();
process.exitCode = failed ? 1 : 0;
