/*
 * A copy of the project in which one mutant at a time is tried.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { applyMutant, type Mutant } from './find-mutants.ts';
import type { Result } from './results.ts';
import { runTests } from './run-tests.ts';
import { TestFiles } from './tests-of.ts';

const NOT_COPIED = new Set(['.git', 'node_modules', 'dist', 'coverage']);
/** A mutant may be slower than the source, and the machine busier than when its tests were measured. */
const TIMEOUT_FACTOR = 5;
const MIN_TIMEOUT_MS = 20_000;
const MAX_TIMEOUT_MS = 300_000;

/** How long each test file takes without any mutant; undefined: it fails. Shared by the copies of a run. */
export type Baseline = Map<string, Promise<number | undefined>>;

/** A copy of a project. */
export class ProjectCopy {
  readonly root: string;
  readonly #tests: TestFiles;
  readonly #baseline: Baseline;
  readonly #signal: AbortSignal;

  constructor(project: string, baseline: Baseline, signal: AbortSignal) {
    this.#baseline = baseline;
    this.#signal = signal;
    this.root = mkdtempSync(join(tmpdir(), 'sallyport-mutation-'));
    cpSync(project, this.root, { recursive: true, filter: (path) => !NOT_COPIED.has(relative(project, path)) });
    symlinkSync(resolve(project, 'node_modules'), join(this.root, 'node_modules'));
    this.#tests = new TestFiles(this.root);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Changes the file of `mutant`, runs the tests that should notice until one does, and restores the file. */
  async try(mutant: Mutant): Promise<Result> {
    const groups = this.#tests.groupsOf(mutant.path);
    const digests = digestsOf(this.root, mutant.path, this.#tests);
    for (const group of groups) {
      const failure = await this.#firstFailure(mutant, group);
      if (failure !== undefined) return { mutant, ...digests, outcome: 'killed', failure };
    }
    return { mutant, ...digests, outcome: 'survived' };
  }

  /** The cheapest tests run first. */
  async #firstFailure(mutant: Mutant, group: readonly string[]): Promise<string | undefined> {
    const measured = await this.#measure(group);
    const tests = measured.sort((one, other) => one.ms - other.ms);
    if (tests.length === 0) return undefined;
    const expectedMs = tests.reduce((sum, { ms }) => sum + ms, 0);
    const timeoutMs = Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, TIMEOUT_FACTOR * expectedMs));
    const path = join(this.root, mutant.path);
    const source = readFileSync(path, 'utf8');
    writeFileSync(path, applyMutant(source, mutant));
    const files = tests.map(({ file }) => file);
    const run = await runTests(this.root, files, timeoutMs, this.#signal);
    writeFileSync(path, source);
    return run.failure;
  }

  async #measure(files: readonly string[]): Promise<{ readonly file: string; readonly ms: number }[]> {
    const passing: { readonly file: string; readonly ms: number }[] = [];
    for (const file of files) {
      if (!this.#baseline.has(file)) this.#baseline.set(file, this.#measureFile(file));
      const ms = await this.#baseline.get(file);
      if (ms !== undefined) passing.push({ file, ms });
    }
    return passing;
  }

  async #measureFile(file: string): Promise<number | undefined> {
    const { failure, ms } = await runTests(this.root, [file], MAX_TIMEOUT_MS, this.#signal);
    if (failure === undefined) return ms;
    if (!this.#signal.aborted) process.stderr.write(`left out, because it fails without any mutant: ${file} (${failure})\n`);
    return undefined;
  }
}

/** Digests of what the outcome of a mutant of `path` depends on. */
export function digestsOf(root: string, path: string, tests: TestFiles): { readonly source: string; readonly tests: string } {
  const digestOf = (files: readonly string[]): string => {
    const hash = createHash('sha256');
    for (const file of files) hash.update(file).update(readFileSync(join(root, file)));
    return hash.digest('hex').slice(0, 16);
  };
  return { source: digestOf([path]), tests: digestOf(tests.groupsOf(path).flat()) };
}
