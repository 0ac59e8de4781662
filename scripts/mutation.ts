/*
 * `npm run mutation`: tries a sample of small changes in the packages that decide about requests, and prints which of them the unit tests
 * do not notice.
 */
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Baseline } from './mutation/baseline.ts';
import { readClassification } from './mutation/classification.ts';
import { findMutants, type Mutant } from './mutation/find-mutants.ts';
import { progressOf } from './mutation/progress.ts';
import { digestsOf, ProjectCopy } from './mutation/project-copy.ts';
import { describe, reportOn } from './mutation/report.ts';
import { appendResult, isCurrent, type Result, readResults } from './mutation/results.ts';
import { inTurns, sampleMutants } from './mutation/sample-mutants.ts';
import { TestFiles } from './mutation/tests-of.ts';

const PACKAGES = ['jwt', 'filters', 'policy', 'bundle', 'agent', 'status', 'jwks'];
const CLASSIFICATION = new URL('mutation/classification.json', import.meta.url).pathname;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '215' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    results: { type: 'string', default: 'node_modules/.cache/mutation.jsonl' },
  },
});
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

// Packages take turns, so that a run that is stopped has tried some mutants of each.
const sample = inTurns((positionals.length === 0 ? PACKAGES : positionals).map(samplePackage));
const known = knownResults();
await tryAll(sample.filter(({ id }) => !known.has(id)));
const results = sample.flatMap(({ id }) => known.get(id) ?? []);
const report = reportOn(results, readClassification(CLASSIFICATION));
process.stdout.write(`${report.text}\n`);
process.exitCode = report.ok && results.length === sample.length ? 0 : 1;

function samplePackage(name: string): readonly Mutant[] {
  const files = globSync(`src/${name}/**/*.ts`).sort();
  const mutants = files.flatMap((path) => findMutants(path, readFileSync(path, 'utf8')));
  return sampleMutants(mutants, Number(values.count), values.seed);
}

/** What earlier runs found out and still holds. */
function knownResults(): Map<string, Result> {
  const tests = new TestFiles('.');
  const now = new Map([...new Set(sample.map(({ path }) => path))].map((path) => [path, digestsOf('.', path, tests)]));
  const current = readResults(values.results).filter((result) => {
    const digests = now.get(result.mutant.path);
    return digests !== undefined && isCurrent(result, digests);
  });
  return new Map(current.map((result) => [result.mutant.id, result]));
}

/** Each worker has its own copy. */
async function tryAll(mutants: readonly Mutant[]): Promise<void> {
  const queue = mutants.values();
  const baseline = new Baseline(`${values.results}.tests`);
  const start = performance.now();
  let done = 0;
  const work = async (copy: ProjectCopy): Promise<void> => {
    for (const mutant of queue) {
      const result = await copy.try(mutant);
      if (stop.signal.aborted) return;
      known.set(mutant.id, result);
      appendResult(values.results, result);
      done += 1;
      const progress = progressOf(done, mutants.length, performance.now() - start);
      process.stdout.write(`${result.outcome.padEnd(9)}${describe(mutant)} (${progress})\n`);
    }
  };
  const copies = Array.from(
    { length: Math.min(Number(values.workers), mutants.length) },
    () => new ProjectCopy('.', baseline, stop.signal),
  );
  try {
    await Promise.all(copies.map(work));
  } finally {
    for (const copy of copies) copy.remove();
  }
}
