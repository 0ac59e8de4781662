/*
 * `npm test`: every suite in turn, each with its own line in the closing table. A suite that this machine cannot run
 * (no Go, no root, no Linux) is told loudly with the reason; under CI=true that is a failure. Ends with the line
 * `N passed, N failed`. Arguments: names of suites to run (default: all).
 */
import { spawn } from 'node:child_process';
import { styleText } from 'node:util';
import { missingFor } from '../test/cluster/prerequisites.ts';

interface Suite {
  readonly name: string;
  /** Run one after the other; the first that fails ends the suite. */
  readonly commands: readonly (readonly string[])[];
  /** Reasons why this machine cannot run it; empty: it can. */
  readonly missing: () => readonly string[];
}

interface Outcome {
  readonly name: string;
  readonly state: 'ok' | 'failed' | 'not run';
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly why: readonly string[];
}

const slow = ['--no-config', '--exit', '--fail-zero', '--timeout', '120000'];
const suites: readonly Suite[] = [
  { name: 'check', commands: [['node', 'scripts/check.mjs']], missing: () => [] },
  { name: 'unit', commands: [['mocha']], missing: () => [] },
  { name: 'conformance', commands: [['mocha', ...slow, 'test/conformance/**/*.test.ts']], missing: () => [] },
  {
    name: 'integration',
    commands: [
      ['node', 'test/cluster/cli.ts', 'build', '--only', 'integration'],
      ['mocha', ...slow, 'test/integration/**/*.test.ts'],
    ],
    missing: () => missingFor('integration'),
  },
  {
    name: 'e2e',
    commands: [
      ['node', 'test/cluster/cli.ts', 'build'],
      ['node', 'scripts/build.ts'],
      ['mocha', ...slow, '--timeout', '600000', 'test/e2e/**/*.test.ts'],
    ],
    missing: () => missingFor('e2e'),
  },
];

/** Runs one suite with its output passed through, counting mocha's closing lines. */
async function run(suite: Suite): Promise<Outcome> {
  const why = suite.missing();
  if (why.length > 0) return { name: suite.name, state: 'not run', passed: 0, failed: 0, seconds: 0, why };
  process.stdout.write(`\n${styleText('bold', `== ${suite.name}`)}\n`);
  const started = performance.now();
  let result = { code: 0, tail: '' };
  for (const command of suite.commands) {
    result = await runCommand(command);
    if (result.code !== 0) break;
  }
  const isMocha = suite.commands.at(-1)?.[0] === 'mocha';
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

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(`unknown suite ${unknown.join(', ')}; known: ${suites.map((suite) => suite.name).join(', ')}\n`);
  process.exit(64);
}
const outcomes: Outcome[] = [];
for (const suite of suites) if (wanted.length === 0 || wanted.includes(suite.name)) outcomes.push(await run(suite));

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
