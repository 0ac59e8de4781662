/*
 * `npm run bench`: the benchmarks in turn, with their output passed through and their ratios in a closing table.
 *
 * `npm run bench -- [NAME…] [--quick] [--store] [--compare] [--baseline FILE]`. `--quick` measures shorter, for a look or a busy machine.
 * `--compare` exits with 1 if a ratio is worse than that of the baseline by more than its tolerance, or was not measured; `--store` writes what
 * was measured into the baseline and keeps the ratios of benchmarks that did not run.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Baseline, compareRatios, type Ratio, readRatios } from './support/ratios.ts';
import { printTable } from './support/table.ts';

/** Benchmarks in the order of their runs, with the arguments of `--quick`. */
const BENCHMARKS: Readonly<Record<string, readonly string[]>> = {
  proxy: ['--quick'],
  flood: ['--seconds', '2', '--rounds', '1'],
  unread: ['--seconds', '3', '--connections', '100'],
  aborts: ['--connections', '1000'],
  bodies: ['--gigabytes', '0.25', '--rounds', '1'],
  grpc: ['--pairs', '3', '--seconds', '2'],
  streams: ['--pairs', '3', '--megabytes', '32'],
  tcp: ['--pairs', '3', '--megabytes', '128', '--connections', '200'],
  tls: ['--pairs', '3', '--handshakes', '100', '--megabytes', '64'],
  reloads: ['--seconds', '10'],
  distinct: ['--tokens', '100000'],
  admin: ['--seconds', '10'],
  issuers: [],
  engine: ['--quick'],
  selection: ['--quick'],
  publish: ['--quick'],
  'control-plane': ['--namespaces', '10'],
  growth: ['--quick'],
  'key-sources': ['--rules', '512', '--seconds', '5'],
  verify: [],
};

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
  const args = values.quick ? (BENCHMARKS[name] ?? []) : [];
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
  const isExpected = (ratio: string): boolean => names.includes(ratio.split('/')[0] ?? '');
  const { failures, notes } = compareRatios(stored, measured, isExpected);
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
  failed.push(...failures);
}
if (values.store) {
  const all = { ...stored, ...Object.fromEntries(measured.map(({ name, value }) => [name, value])) };
  const sorted = Object.fromEntries(Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1)));
  writeFileSync(values.baseline, `${JSON.stringify(sorted, undefined, 2)}\n`);
  process.stdout.write(`stored ${measured.length} ratios in ${values.baseline}\n`);
}
for (const failure of failed) process.stdout.write(`FAILED ${failure}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
