/*
 * `npm run check`: types, lint with the dependency rule, format, dead code and stale generated files, side by side.
 * Prints the output of what failed and one line for each step; exits 1 when any failed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { styleText } from 'node:util';

/** @type {[string, string[]][]} */
const steps = [
  ['types', ['tsc', '--noEmit']],
  ['lint', ['oxlint', '--type-aware', '--deny-warnings']],
  ['format', ['biome', 'check', '.']],
  ['dead code', ['knip', '--no-progress', '--treat-config-hints-as-errors']],
  ['generated files', ['node', 'scripts/gen.ts', '--check']],
];

/** @param {string[]} argv @returns {Promise<{ code: number, output: string, seconds: number }>} */
function run([command, ...args]) {
  const started = process.hrtime.bigint();
  return new Promise((resolve) => {
    const child = spawn(command ?? '', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 1, output: String(error), seconds: 0 }));
    child.on('exit', (code) => resolve({ code: code ?? 1, output, seconds: Number(process.hrtime.bigint() - started) / 1e9 }));
  });
}

const results = await Promise.all(steps.map(async ([name, argv]) => ({ name, ...(await run(argv)) })));
let failed = 0;
for (const { name, code, output, seconds } of results) {
  if (code !== 0) {
    failed += 1;
    process.stdout.write(`${output}\n`);
  }
  const mark = code === 0 ? styleText('green', 'ok  ') : styleText('red', 'FAIL');
  process.stdout.write(`${mark} ${name.padEnd(16)} ${seconds.toFixed(1)} s\n`);
}
if (!existsSync('node_modules')) process.stdout.write('run npm install first\n');
process.exitCode = failed === 0 ? 0 : 1;
