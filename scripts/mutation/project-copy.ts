/*
 * A copy of the project in which one mutant at a time is tried.
 */
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { Baseline, Measured } from './baseline.ts';
import { isCovered, readCoverage } from './coverage.ts';
import { applyMutant, type Mutant } from './find-mutants.ts';
import type { Result } from './results.ts';
import { NO_END, NO_START, runTests, type TestRun } from './run-tests.ts';
import { digestOfFiles, TestFiles } from './tests-of.ts';

const NOT_COPIED = new Set(['.git', 'node_modules', 'dist', 'coverage']);
/** A mutant may be slower than the source, and the machine busier than when its tests were measured. */
const TIMEOUT_FACTOR = 5;
const MIN_TIMEOUT_MS = 20_000;
const MAX_TIMEOUT_MS = 300_000;

/** A copy of a project. */
export class ProjectCopy {
  readonly root: string;
  readonly #tests: TestFiles;
  readonly #baseline: Baseline;
  readonly #signal: AbortSignal;

  constructor(project: string, baseline: Baseline, signal: AbortSignal) {
    this.#baseline = baseline;
    this.#signal = signal;
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-mutation-')));
    cpSync(project, this.root, { recursive: true, filter: (path) => !NOT_COPIED.has(relative(project, path)) });
    symlinkSync(resolve(project, 'node_modules'), join(this.root, 'node_modules'));
    this.#tests = new TestFiles(this.root);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  /**
   * Changes the file of `mutant`, runs the tests that should notice until one does, and restores the file.
   * @throws Error when tests do not start, or do not end, without the mutant either
   */
  async try(mutant: Mutant): Promise<Result> {
    const groups = this.#tests.groupsOf(mutant.path);
    const digests = digestsOf(this.root, mutant.path, this.#tests);
    for (const group of groups) {
      const failure = await this.#firstFailure(mutant, group);
      if (failure !== undefined) return { mutant, ...digests, outcome: 'killed', failure };
    }
    return { mutant, ...digests, outcome: 'survived' };
  }

  /** Only tests that cover the place run, the quickest first. */
  async #firstFailure(mutant: Mutant, group: readonly string[]): Promise<string | undefined> {
    const measured: Measured[] = [];
    for (const file of group) measured.push(await this.#measure(file));
    const tests = measured
      .filter(({ failure, coverage }) => failure === undefined && isCovered(coverage, mutant.path, mutant.start))
      .sort((one, other) => one.ms - other.ms);
    if (tests.length === 0) return undefined;
    const expectedMs = tests.reduce((sum, { ms }) => sum + ms, 0);
    const files = tests.map(({ file }) => file);
    const timeoutMs = timeoutFor(expectedMs);
    const run = await this.#runWith(mutant, files, timeoutMs);
    if ((run.failure !== NO_START && run.failure !== NO_END) || this.#signal.aborted) return run.failure;
    const longerMs = timeoutFor(await this.#confirm(files));
    if (run.failure === NO_START || longerMs <= timeoutMs) return run.failure;
    // The machine is busier than when the tests were measured.
    return (await this.#runWith(mutant, files, longerMs)).failure;
  }

  async #runWith(mutant: Mutant, files: readonly string[], timeoutMs: number): Promise<TestRun> {
    const path = join(this.root, mutant.path);
    const source = readFileSync(path, 'utf8');
    writeFileSync(path, applyMutant(source, mutant));
    try {
      return await this.#run(files, timeoutMs);
    } finally {
      writeFileSync(path, source);
    }
  }

  #run(files: readonly string[], timeoutMs: number): Promise<TestRun> {
    return runTests(this.root, files, { timeoutMs, signal: this.#signal });
  }

  /**
   * Packages that are being installed, a full disk or an overloaded machine would pass for a mutant that is noticed.
   * @returns the milliseconds that the tests take without a mutant
   */
  async #confirm(files: readonly string[]): Promise<number> {
    const { failure, ms } = await this.#run(files, MAX_TIMEOUT_MS);
    if (failure !== undefined && !this.#signal.aborted)
      throw new Error(`${files.join(' ')}: ${failure} without the mutant as well; run the command again when the tests pass`);
    return ms;
  }

  #measure(file: string): Promise<Measured> {
    const digest = this.#tests.digestOf(file);
    return this.#baseline.get({ file, digest }, async () => {
      const coverageDir = join(this.root, '.coverage');
      rmSync(coverageDir, { recursive: true, force: true });
      const run = await runTests(this.root, [file], { timeoutMs: MAX_TIMEOUT_MS, signal: this.#signal, coverageDir });
      if (run.failure === undefined) return { file, digest, ms: run.ms, coverage: readCoverage(coverageDir, this.root) };
      // The file that is missing then may be any other than the test's own.
      if (run.failure === NO_START && !this.#signal.aborted)
        throw new Error(`${file} does not start; run the command again when the tests pass`);
      if (!this.#signal.aborted) process.stderr.write(`left out, because it fails without any mutant: ${file} (${run.failure})\n`);
      return { file, digest, ms: run.ms, failure: run.failure, coverage: {} };
    });
  }
}

function timeoutFor(expectedMs: number): number {
  return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, TIMEOUT_FACTOR * expectedMs));
}

/** Digests of what the outcome of a mutant of `path` depends on. */
export function digestsOf(root: string, path: string, tests: TestFiles): { readonly source: string; readonly tests: string } {
  return { source: digestOfFiles(root, [path]), tests: digestOfFiles(root, tests.groupsOf(path).flat()) };
}
