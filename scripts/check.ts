/*
 * `npm run check`: types, lint, format, dead code, docs and stale generated files, side by side. Prints the output of each
 * step that failed and one line for each step; exits 1 when any failed. Dependencies between packages are checked by the
 * unit tests.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { styleText } from 'node:util';

/** The steps that take longest come first. */
const steps: readonly (readonly [name: string, command: string, ...args: readonly string[]])[] = [
  ['lint', 'node', 'scripts/check-lint.ts'],
  ['types', 'tsc', '--noEmit'],
  ['dead code', 'knip', '--no-progress', '--cache', '--treat-config-hints-as-errors'],
  ['unused in src', 'knip', '--no-progress', '--cache', '--cache-location', 'node_modules/.cache/knip-production', '--production'],
  ['generated files', 'node', 'scripts/gen.ts', '--check'],
  ['format', 'node', 'scripts/check-format.ts'],
  ['prose', 'node', 'scripts/check-prose.ts'],
  ['limits', 'node', 'scripts/check-limits.ts'],
  ['regexes', 'node', 'scripts/check-regexes.ts'],
  ['doc comments', 'node', 'scripts/check-docstrings.ts'],
];

interface Result {
  readonly code: number;
  readonly output: string;
  readonly seconds: number;
}

function run(command: string, args: readonly string[]): Promise<Result> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        FORCE_COLOR: process.stdout.isTTY ? '1' : '0',
        // Compiled code of earlier runs, so that a step does not compile its dependencies again.
        NODE_COMPILE_CACHE: 'node_modules/.cache/node',
      },
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 1, output: String(error), seconds: 0 }));
    child.on('exit', (code) => resolve({ code: code ?? 1, output, seconds: (performance.now() - started) / 1000 }));
  });
}

const results = await Promise.all(steps.map(async ([name, command, ...args]) => ({ name, ...(await run(command, args)) })));
let failed = 0;
for (const { name, code, output, seconds } of results) {
  if (code !== 0) {
    failed += 1;
    process.stdout.write(`${output}\n`);
  }
  const mark = code === 0 ? styleText('green', 'ok  ') : styleText('red', 'FAIL');
  process.stdout.write(`${mark} ${name.padEnd(16)} ${seconds.toFixed(1)} s\n`);
}
if (!existsSync('node_modules')) process.stdout.write('run npm ci first\n');
process.exitCode = failed === 0 ? 0 : 1;
