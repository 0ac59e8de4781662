/*
 * The results of tried mutants: one line of JSON each, so that a run goes on where an earlier one was stopped.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Mutant } from './find-mutants.ts';

/** A mutant that was tried. */
export interface Result {
  readonly mutant: Mutant;
  /** Digest of the file that was changed. */
  readonly source: string;
  /** Digest of the tests that should notice. */
  readonly tests: string;
  /** killed: a test failed or did not end; survived: no test failed. */
  readonly outcome: 'killed' | 'survived';
  /** The test that failed first. */
  readonly failure?: string;
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

/** Whether `result` would be the same now: other tests may notice a survivor, but they still notice what was killed. */
export function isCurrent(result: Result, now: Pick<Result, 'source' | 'tests'>): boolean {
  return result.source === now.source && (result.outcome === 'killed' || result.tests === now.tests);
}
