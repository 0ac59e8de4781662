/*
 * `npm test`: every suite in turn, each with its own line in the closing table. `npm test -- NAME…` runs named suites,
 * `npm test -- FILE…` those test files with the options of their suites. A suite that this machine cannot run (no Go, not
 * root, not Linux) is reported with the reason; under CI=true that is a failure. Ends with the line `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { styleText } from 'node:util';
import { planRuns, type Run } from './test-runner/suites.ts';

interface Outcome {
  readonly name: string;
  readonly state: 'ok' | 'failed' | 'not run';
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly why: readonly string[];
}

/** Runs one suite with its output passed through, counting mocha's closing lines. */
async function run({ suite, commands }: Run): Promise<Outcome> {
  const why = suite.missing();
  if (why.length > 0) return { name: suite.name, state: 'not run', passed: 0, failed: 0, seconds: 0, why };
  process.stdout.write(`\n${styleText('bold', `== ${suite.name}`)}\n`);
  const started = performance.now();
  let result = { code: 0, tail: '' };
  for (const command of commands) {
    result = await runCommand(command);
    if (result.code !== 0) break;
  }
  const isMocha = commands.at(-1)?.[0] === 'mocha';
  const passing = isMocha ? Number(/^\s*(\d+) passing/m.exec(result.tail)?.[1] ?? 0) : Number(result.code === 0);
  const failing = Number(/^\s*(\d+) failing/m.exec(result.tail)?.[1] ?? 0);
  return {
    name: suite.name,
    state: result.code === 0 ? 'ok' : 'failed',
    passed: passing,
    failed: result.code === 0 ? 0 : Math.max(failing, 1),
    seconds: (performance.now() - started) / 1000,
    why: [],
  };
}

function runCommand([command = '', ...args]: readonly string[]): Promise<{ code: number; tail: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let tail = '';
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      tail = (tail + chunk.toString()).slice(-200_000);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, tail }));
  });
}

function planOrExit(args: readonly string[]): readonly Run[] {
  try {
    return planRuns(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(64);
  }
}

const outcomes: Outcome[] = [];
for (const planned of planOrExit(process.argv.slice(2))) outcomes.push(await run(planned));

const ci = process.env['CI'] === 'true';
const colour = { ok: 'green', failed: 'red', 'not run': 'yellow' } as const;
process.stdout.write('\n');
for (const { name, state, passed, failed, seconds, why } of outcomes) {
  const counts = state === 'not run' ? '' : `${passed} passed, ${failed} failed, ${seconds.toFixed(0)} s`;
  process.stdout.write(`${name.padEnd(12)} ${styleText(colour[state], state.padEnd(8))} ${counts}\n`);
  for (const reason of why) process.stdout.write(`${' '.repeat(13)}${styleText('yellow', `NOT CHECKED: ${reason}`)}\n`);
}
const skipped = outcomes.filter((outcome) => outcome.state === 'not run').length;
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0) + (ci ? skipped : 0);
if (skipped > 0 && ci) process.stdout.write('CI=true: a suite that did not run is a failure\n');
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
