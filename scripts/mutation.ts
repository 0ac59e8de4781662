/*
 * `npm run mutation`: tries a sample of small changes in the packages that decide about requests, and prints how many of them the unit
 * tests notice.
 */
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { applyMutant, findMutants, type Mutant } from './mutation/find-mutants.ts';
import { mirroredTests } from './mutation/mirrored-tests.ts';
import { appendResult, type Outcome, readResults, summaryOf } from './mutation/results.ts';
import { testsPass } from './mutation/run-tests.ts';
import { sampleMutants } from './mutation/sample-mutants.ts';

const PACKAGES = ['jwt', 'filters', 'policy', 'bundle', 'agent', 'status', 'jwks'];
const NOT_COPIED = new Set(['.git', 'node_modules', 'dist', 'coverage']);
const TIMEOUT_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    results: { type: 'string', default: 'node_modules/.cache/mutation.jsonl' },
  },
});
const sample = (positionals.length === 0 ? PACKAGES : positionals).flatMap(samplePackage);
const known = new Map(readResults(values.results).map((result) => [result.mutant.id, result]));
const root = mkdtempSync(join(tmpdir(), 'sallyport-mutation-'));
try {
  cpSync('.', root, { recursive: true, filter: (path) => !NOT_COPIED.has(path) });
  symlinkSync(join(process.cwd(), 'node_modules'), join(root, 'node_modules'));
  for (const mutant of sample.filter(({ id }) => !known.has(id))) {
    const outcome = await tryMutant(mutant);
    if (outcome === undefined) continue;
    known.set(mutant.id, { mutant, outcome });
    appendResult(values.results, { mutant, outcome });
    process.stdout.write(`${outcome.padEnd(9)}${mutant.path}:${mutant.line} ${mutant.operator}: ${mutant.replacement.split('\n')[0]}\n`);
  }
} finally {
  rmSync(root, { recursive: true });
}
process.stdout.write(`${summaryOf(sample.flatMap(({ id }) => known.get(id) ?? []))}\n`);

function samplePackage(name: string): readonly Mutant[] {
  const files = globSync(`src/${name}/**/*.ts`).sort();
  const mutants = files.flatMap((path) => findMutants(path, readFileSync(path, 'utf8')));
  return sampleMutants(mutants, Number(values.count), values.seed);
}

/** Undefined: the tests fail without the change as well, or the file has no tests. */
async function tryMutant(mutant: Mutant): Promise<Outcome | undefined> {
  const groups = mirroredTests(root, mutant.path);
  const path = join(root, mutant.path);
  const source = readFileSync(path, 'utf8');
  writeFileSync(path, applyMutant(source, mutant));
  const noticing = await firstFailing(groups);
  writeFileSync(path, source);
  if (noticing === undefined) return groups.length === 0 ? undefined : 'survived';
  return (await testsPass(root, noticing, TIMEOUT_MS)) ? 'killed' : undefined;
}

async function firstFailing(groups: readonly (readonly string[])[]): Promise<readonly string[] | undefined> {
  for (const group of groups) if (!(await testsPass(root, group, TIMEOUT_MS))) return group;
  return undefined;
}
