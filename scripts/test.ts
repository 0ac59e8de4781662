/*
 * `npm test`: every suite in turn, each with its own line in the closing table. `npm test -- NAME…` runs named suites,
 * `npm test -- FILE…` those test files with the options of their suites. A suite that this machine cannot run (no Go, not
 * root, not Linux) is reported with the reason; under CI=true that is a failure. Failures are repeated after the table,
 * where a truncated log still has them. Ends with the line `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { stripVTControlCharacters, styleText } from 'node:util';
import { planRuns, type Run } from './test-runner/suites.ts';

interface Outcome {
  readonly name: string;
  readonly state: 'ok' | 'failed' | 'not run';
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly why: readonly string[];
  /** The failures of each failed command, at most {@link MAX_REPORT} characters each. */
  readonly reports: readonly string[];
}

/** Characters of a command's output that are kept for its closing lines. */
const MAX_TAIL = 200_000;
/** Characters of a failed command's output that are repeated at the end. */
const MAX_REPORT = 4000;

/** Runs one suite with its output passed through, counting mocha's closing lines. */
async function run({ suite, prepare, tests }: Run): Promise<Outcome> {
  const why = suite.missing();
  if (why.length > 0) return { name: suite.name, state: 'not run', passed: 0, failed: 0, seconds: 0, why, reports: [] };
  process.stdout.write(`\n${styleText('bold', `== ${suite.name}`)}\n`);
  const started = performance.now();
  const results: Result[] = [];
  for (const command of prepare) {
    results.push(await runCommand(command, (chunk) => process.stdout.write(chunk)));
    if (results.at(-1)?.code !== 0) break;
  }
  const isReady = results.every(({ code }) => code === 0);
  if (isReady && tests.length > 0) results.splice(0, results.length, ...(await runTests(tests, suite.lanes ?? 1)));
  const failed = results.reduce((sum, { code, failing }) => sum + (code === 0 ? 0 : Math.max(failing, 1)), 0);
  const passed = tests.length > 0 ? results.reduce((sum, { passing }) => sum + passing, 0) : Number(failed === 0);
  return {
    name: suite.name,
    state: failed === 0 ? 'ok' : 'failed',
    passed,
    failed,
    seconds: (performance.now() - started) / 1000,
    why: [],
    reports: results.flatMap(({ report }) => report ?? []),
  };
}

/** What a command did; the numbers are those of mocha's closing lines. */
interface Result {
  readonly code: number;
  readonly passing: number;
  readonly failing: number;
  /** Of a command that failed: mocha's list of failures, or else the end of what it printed. */
  readonly report?: string;
}

/** Runs commands, `lanes` at the same time. The output of each follows as a whole when it ends; that of the first passes through if all begin together. */
async function runTests(commands: readonly (readonly string[])[], lanes: number): Promise<readonly Result[]> {
  const results: Result[] = [];
  const left = [...commands];
  const isTogether = commands.length <= lanes;
  const lane = async (): Promise<void> => {
    for (let command = left.shift(); command !== undefined; command = left.shift()) {
      if (isTogether && command === commands[0]) {
        results.push(await runCommand(command, (chunk) => process.stdout.write(chunk)));
        continue;
      }
      const started = performance.now();
      const chunks: Buffer[] = [];
      const result = await runCommand(command, (chunk) => void chunks.push(chunk));
      results.push(result);
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      const title = `-- ${isTogether ? 'the other files' : command.at(-1)}, ${seconds} s (${results.length} of ${commands.length})`;
      process.stdout.write(Buffer.concat([Buffer.from(`\n${styleText('bold', title)}\n`), ...chunks]));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function runCommand([command = '', ...args]: readonly string[], onOutput: (chunk: Buffer) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const tail = { stdout: '', both: '' };
    const read = (chunk: Buffer): void => {
      onOutput(chunk);
      tail.both = (tail.both + chunk.toString()).slice(-MAX_TAIL);
    };
    child.stdout.on('data', (chunk: Buffer) => {
      read(chunk);
      tail.stdout = (tail.stdout + chunk.toString()).slice(-MAX_TAIL);
    });
    child.stderr.on('data', read);
    child.on('error', reject);
    child.on('close', (code) => {
      const count = (pattern: RegExp): number => Number(pattern.exec(tail.stdout)?.[1] ?? 0);
      const result = { code: code ?? 1, passing: count(/^\s*(\d+) passing/m), failing: count(/^\s*(\d+) failing/m) };
      // A line of standard error may be in the middle of mocha's closing lines.
      const output = result.failing > 0 ? tail.stdout : tail.both;
      resolve(
        code === 0 ? result : { ...result, report: reportFailure([command, ...args].at(-1) ?? '', stripVTControlCharacters(output)) },
      );
    });
  });
}

/** The list of failures that mocha printed, or the last lines of a command that had none. */
function reportFailure(title: string, output: string): string {
  const list = /^\s*\d+ failing$/m.exec(output);
  const text = list === null ? output.trimEnd().slice(-MAX_REPORT) : output.slice(list.index, list.index + MAX_REPORT);
  return `-- ${title}\n${text.trim()}\n`;
}

function planOrExit(args: readonly string[]): readonly Run[] {
  try {
    return planRuns(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(64);
  }
}

const outcomes: Outcome[] = [];
for (const planned of planOrExit(process.argv.slice(2))) outcomes.push(await run(planned));

const ci = process.env['CI'] === 'true';
const colour = { ok: 'green', failed: 'red', 'not run': 'yellow' } as const;
process.stdout.write('\n');
for (const { name, state, passed, failed, seconds, why } of outcomes) {
  const counts = state === 'not run' ? '' : `${passed} passed, ${failed} failed, ${seconds.toFixed(0)} s`;
  process.stdout.write(`${name.padEnd(12)} ${styleText(colour[state], state.padEnd(8))} ${counts}\n`);
  for (const reason of why) process.stdout.write(`${' '.repeat(13)}${styleText('yellow', `NOT CHECKED: ${reason}`)}\n`);
}
for (const report of outcomes.flatMap(({ reports }) => reports)) process.stdout.write(`\n${report}`);
const skipped = outcomes.filter((outcome) => outcome.state === 'not run').length;
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0) + (ci ? skipped : 0);
if (skipped > 0 && ci) process.stdout.write('CI=true: a suite that did not run is a failure\n');
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
