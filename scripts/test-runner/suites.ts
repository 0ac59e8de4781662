/*
 * The suites of `npm test`: what each runs, with which options of mocha, and what it needs of the machine.
 */
import { globSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { missingFor } from '../../test/cluster/prerequisites.ts';

/** One suite of `npm test`. */
export interface Suite {
  readonly name: string;
  /** Directories of its test files; empty for a suite without test files. */
  readonly directories: readonly string[];
  /** Commands to run first, one after the other; the first that fails ends the suite. */
  readonly prepare: readonly (readonly string[])[];
  /** Options of mocha for its test files. */
  readonly options: readonly string[];
  /** Number of processes that run its test files at the same time; absent: 1. */
  readonly lanes?: number;
  /** Each test file has a separate process, for suites whose files take long; absent: a process runs its share of the files. */
  readonly isolatesFiles?: boolean;
  /** Reasons why this machine cannot run it; empty: it can. */
  readonly missing: () => readonly string[];
}

const slow = ['--no-config', '--exit', '--fail-zero', '--timeout', '120000'];
/** Fails a suite after which sockets, timers or processes are left. */
const leaks = ['--require', './test/support/leak-hooks.ts'];
/** The same at the end of all suites of a run, which share a node. */
const leaksOfRun = ['--require', './test/support/leak-hooks-of-run.ts'];

/** All suites, in the order in which `npm test` runs them. */
export const SUITES: readonly Suite[] = [
  { name: 'check', directories: [], prepare: [['node', 'scripts/check.ts']], options: [], missing: () => [] },
  { name: 'unit', directories: ['test/unit', 'test/property'], prepare: [], options: [], lanes: 2, missing: () => [] },
  { name: 'conformance', directories: ['test/conformance'], prepare: [], options: [...slow, ...leaks], missing: () => [] },
  { name: 'attack', directories: ['test/attack'], prepare: [], options: [...slow, ...leaks], missing: () => [] },
  {
    name: 'integration',
    directories: ['test/integration'],
    prepare: [['node', 'test/cluster/cli.ts', 'build', '--only', 'integration']],
    options: [...slow, ...leaks],
    lanes: 2,
    isolatesFiles: true,
    missing: () => missingFor('integration'),
  },
  {
    name: 'soak',
    directories: ['test/soak'],
    prepare: [['node', 'test/cluster/cli.ts', 'build', '--only', 'integration']],
    options: [...slow, ...leaks],
    missing: () => missingFor('integration'),
  },
  {
    name: 'e2e',
    directories: ['test/e2e'],
    prepare: [
      ['node', 'test/cluster/cli.ts', 'build'],
      ['node', 'scripts/build.ts'],
    ],
    options: [...slow, ...leaksOfRun, '--timeout', '600000'],
    missing: () => missingFor('e2e'),
  },
];

/** A suite and the commands that run it. */
export interface Run {
  readonly suite: Suite;
  /** Run first, in turn; the first that fails ends the suite. */
  readonly prepare: readonly (readonly string[])[];
  /** Run mocha, as many at the same time as the suite has lanes. */
  readonly tests: readonly (readonly string[])[];
}

/**
 * What the arguments of `npm test` ask for, in the order of {@link SUITES}.
 *
 * @param args names of suites and paths of test files (relative to the project) in any order, then options that go to mocha, such as
 *   `--grep`. Without any, all suites run. A suite whose name stands together with files of it runs only those files.
 * @throws Error naming the argument that is neither a suite nor below a directory of one
 */
export function planRuns(args: readonly string[]): readonly Run[] {
  const firstOption = args.findIndex((argument) => argument.startsWith('-'));
  const wanted = firstOption < 0 ? args : args.slice(0, firstOption);
  const options = firstOption < 0 ? [] : args.slice(firstOption);
  const files = new Map<string, string[]>();
  const names = new Set<string>();
  for (const argument of wanted) {
    const path = posix.normalize(argument);
    const suite = SUITES.find(({ directories }) => directories.some((directory) => path === directory || path.startsWith(`${directory}/`)));
    if (SUITES.some(({ name }) => name === argument)) names.add(argument);
    else if (suite !== undefined) files.set(suite.name, [...(files.get(suite.name) ?? []), path]);
    else throw new Error(`unknown suite or test file "${argument}"; suites: ${SUITES.map(({ name }) => name).join(', ')}`);
  }
  return SUITES.filter(({ name }) => wanted.length === 0 || names.has(name) || files.has(name)).map((suite) => {
    const specs = files.get(suite.name)?.map(specOf) ?? suite.directories.map(specOf);
    const parts = partsOf(suite, specs);
    return { suite, prepare: suite.prepare, tests: parts.map((part) => ['mocha', ...suite.options, ...options, ...part]) };
  });
}

/** The test files, divided among processes. */
function partsOf({ lanes = 1, isolatesFiles = false }: Suite, specs: readonly string[]): readonly (readonly string[])[] {
  if (lanes === 1) return specs.length === 0 ? [] : [specs];
  const files = largestFirst(specs);
  if (isolatesFiles) return files.map((file) => [file]);
  const shares = Array.from({ length: lanes }, (_, lane) => files.filter((_file, at) => at % lanes === lane));
  return shares.filter((share) => share.length > 0);
}

/** The test files of the patterns; a long one that begins last would run alone at the end. */
function largestFirst(specs: readonly string[]): readonly string[] {
  const files = specs.flatMap((spec) => (spec.includes('*') ? globSync(spec).map((file) => file.replaceAll('\\', '/')) : [spec]));
  const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return files.toSorted((one, other) => sizeOf(other) - sizeOf(one) || (one < other ? -1 : 1));
}

/** A directory stands for all test files below it. */
function specOf(path: string): string {
  return path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.test.ts`;
}
