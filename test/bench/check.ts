/*
 * `node test/bench/check.ts [POLICIES RUNS CLI]`: CPU time of `sallyport check` of a directory of policies, start-up included, next to that of
 * `sallyport version`. Build before: `npm run build`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkedManifests } from './support/checked-policies.ts';

const ROOT = join(import.meta.dirname, '../..');
const [policies = '100', runs = '7', cli = join(ROOT, 'dist/sallyport.mjs')] = process.argv.slice(2);

/** Milliseconds of CPU time of one run, of both kinds, and of its duration. */
function run(args: readonly string[]): { readonly cpu: number; readonly wall: number; readonly text: string } {
  const before = process.cpuUsage();
  const start = performance.now();
  const report = join(directory, 'usage.mjs');
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', report, cli, ...args], { encoding: 'utf8' });
  const wall = performance.now() - start;
  void before;
  const [, cpu = '0'] = /cpu (\d+)/.exec(stderr) ?? [];
  if (status !== 0 && status !== 79) throw new Error(stderr);
  return { cpu: Number(cpu) / 1000, wall, text: `${stdout.split('\n').length - 1} lines, ${stderr.split('\n')[0] ?? ''}` };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

const directory = mkdtempSync(join(tmpdir(), 'bench-check-'));
try {
  writeFileSync(
    join(directory, 'usage.mjs'),
    "process.on('exit', () => { const { user, system } = process.cpuUsage(); process._rawDebug(`cpu ${user + system}`); });\n",
  );
  const input = join(directory, 'policies');
  mkdirSync(input);
  for (const [name, text] of checkedManifests(Number(policies))) writeFileSync(join(input, name), text);
  for (const args of [['version'], ['check', input]]) {
    const all = Array.from({ length: Number(runs) }, () => run(args));
    const [cpu, wall] = [median(all.map((one) => one.cpu)), median(all.map((one) => one.wall))];
    process.stdout.write(`${args[0]}: CPU ${cpu.toFixed(0)} ms, ${wall.toFixed(0)} ms (medians of ${runs} runs); ${all[0]?.text}\n`);
  }
} finally {
  rmSync(directory, { recursive: true });
}
