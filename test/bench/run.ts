/*
 * `npm run bench`: the benchmarks in turn, with their output passed through and their ratios in a closing table.
 *
 * `npm run bench -- [NAME…] [--quick] [--store] [--compare] [--baseline FILE]`. `--quick` measures shorter, for a look or a busy machine.
 * `--compare` exits with 1 if a ratio is worse than that of the baseline by more than its tolerance, was not measured, or is not in the
 * baseline; `--store` replaces the ratios of the benchmarks that ran and keeps those of the others.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BENCHMARKS, benchmarkOf } from './support/benchmarks.ts';
import { type Baseline, compareRatios, type Ratio, readRatios } from './support/ratios.ts';
import { printTable } from './support/table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    store: { type: 'boolean', default: false },
    compare: { type: 'boolean', default: false },
    baseline: { type: 'string', default: fileURLToPath(new URL('./baseline.json', import.meta.url)) },
  },
});

/** Runs one benchmark. @returns its exit code and output */
function run(name: string): Promise<{ readonly code: number; readonly output: string }> {
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const args = values.quick ? (BENCHMARKS[name]?.quick ?? []) : [];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

const unknown = positionals.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`unknown benchmark "${unknown.join('", "')}"; benchmarks: ${Object.keys(BENCHMARKS).join(', ')}\n`);
  process.exit(64);
}

const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
const stored: Baseline = existsSync(values.baseline) ? (JSON.parse(readFileSync(values.baseline, 'utf8')) as Baseline) : {};
const measured: Ratio[] = [];
const failed: string[] = [];
for (const [at, name] of names.entries()) {
  process.stderr.write(`\n[${at + 1}/${names.length}] ${name}, ${new Date().toISOString().slice(11, 19)} UTC\n`);
  const { code, output } = await run(name);
  if (code !== 0) failed.push(`${name}: exit code ${code}`);
  measured.push(...readRatios(output));
}

process.stdout.write('\n');
printTable([
  ['ratio', 'measured', 'baseline', 'tolerance'],
  ...measured.map(({ name, value, tolerance }) => [name, value.toFixed(2), stored[name]?.toFixed(2) ?? '', `${tolerance}x`]),
]);
if (values.compare) {
  const isExpected = (ratio: string): boolean => names.includes(benchmarkOf(ratio));
  const { failures, notes } = compareRatios(stored, measured, isExpected);
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
  failed.push(...failures);
  const silent = names.filter(
    (name) => BENCHMARKS[name]?.ratios === 'baseline' && !measured.some((ratio) => benchmarkOf(ratio.name) === name),
  );
  failed.push(...silent.map((name) => `${name}: printed no ratio`));
}
if (values.store) {
  const others = Object.entries(stored).filter(([name]) => !measured.some((ratio) => benchmarkOf(ratio.name) === benchmarkOf(name)));
  const all = { ...Object.fromEntries(others), ...Object.fromEntries(measured.map(({ name, value }) => [name, value])) };
  const sorted = Object.fromEntries(Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1)));
  writeFileSync(values.baseline, `${JSON.stringify(sorted, undefined, 2)}\n`);
  process.stdout.write(`stored ${measured.length} ratios in ${values.baseline}\n`);
}
for (const failure of failed) process.stdout.write(`FAILED ${failure}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
