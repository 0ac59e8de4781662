/*
 * The results of tried mutants: one line of JSON each, so that a run goes on where an earlier one was stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mutant } from './find-mutants.ts';

/** killed: a test failed or did not end; survived: all passed. */
export type Outcome = 'killed' | 'survived';

/** A mutant that was tried. */
export interface Result {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
}

/** The results in `file`; a last line that was not written to its end is left out. */
export function readResults(file: string): readonly Result[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Result);
}

/** Adds a result to `file`. */
export function appendResult(file: string, result: Result): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify(result)}\n`);
}

/** The part of a mutant's path that names its package. */
export function packageOf({ path }: Mutant): string {
  return path.split('/')[1] ?? '';
}

/** One line for each package: killed and survived. */
export function summaryOf(results: readonly Result[]): string {
  const packages = [...Map.groupBy(results, ({ mutant }) => packageOf(mutant))].sort(([one], [other]) => (one < other ? -1 : 1));
  const lines = packages.map(([name, tried]) => {
    const killed = tried.filter(({ outcome }) => outcome === 'killed').length;
    return `${name.padEnd(12)}${String(killed).padStart(8)}${String(tried.length - killed).padStart(10)}`;
  });
  return [`${'package'.padEnd(12)}${'killed'.padStart(8)}${'survived'.padStart(10)}`, ...lines].join('\n');
}
