/*
 * Runs unit tests in a copy of the project.
 */
import { spawn } from 'node:child_process';
import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Not mocha's own command, which starts another process. It does nothing when it is started through a link. */
const MOCHA = realpathSync('node_modules/mocha/lib/cli/cli.js');
const REPORT = 'mutation-report.json';
const FIRST_FAILURE = new URL('first-failure.ts', import.meta.url).pathname;
const FLAGS = [
  '--no-config',
  '--bail',
  '--exit',
  '--timeout',
  '60000',
  '--require',
  FIRST_FAILURE,
  '--reporter',
  'json',
  '--reporter-option',
  `output=${REPORT}`,
];

/** Failure of a run that wrote no report: no module could be loaded, or no process started. */
export const NO_START = 'no start';
/** Failure of a run that was killed. */
export const NO_END = 'no end';

/** How a run of tests ended. */
export interface TestRun {
  /** Undefined: all passed. Otherwise the title of the first test that failed, or why none could fail. */
  readonly failure: string | undefined;
  readonly ms: number;
}

/** Settings of a run of tests. */
export interface TestRunOptions {
  /** What is left of the processes then, or when `signal` aborts, is killed. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Where V8 writes what is executed. Absent: nowhere, and compiled code is cached, which would make that inexact. */
  readonly coverageDir?: string;
}

/** Runs `files` in the project `root` up to the first failure. */
export async function runTests(root: string, files: readonly string[], options: TestRunOptions): Promise<TestRun> {
  const { timeoutMs, signal, coverageDir } = options;
  rmSync(join(root, REPORT), { force: true });
  const start = performance.now();
  const child = spawn(process.execPath, [MOCHA, ...FLAGS, ...files], {
    cwd: root,
    stdio: 'ignore',
    detached: true,
    env: {
      ...process.env,
      SALLYPORT_SEED: '1',
      ...(coverageDir === undefined ? { NODE_COMPILE_CACHE: join(root, '.compile-cache') } : { NODE_V8_COVERAGE: coverageDir }),
    },
  });
  const kill = (): void => killGroup(child.pid);
  const timer = setTimeout(kill, timeoutMs);
  signal.addEventListener('abort', kill, { once: true });
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', resolve);
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', kill);
  killGroup(child.pid);
  return { failure: code === null ? NO_END : failureIn(join(root, REPORT), code), ms: performance.now() - start };
}

function failureIn(report: string, code: unknown): string | undefined {
  try {
    const { failures } = JSON.parse(readFileSync(report, 'utf8')) as { readonly failures: readonly { readonly fullTitle: string }[] };
    return code === 0 ? undefined : (failures[0]?.fullTitle ?? `exit code ${String(code)}`);
  } catch {
    return NO_START;
  }
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has no process any more.
  }
}
