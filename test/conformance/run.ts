/*
 * `npm run conformance -- [--way NAME ...] [--all] [DIR|FILE ...]`: replays recorded cases through admission, the library and
 * the proxy, and prints how many decisions are equal to the recorded ones. Exit code 1 if a difference is not documented, 2 if
 * there is nothing to replay. Without arguments all available cases are replayed.
 */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type RecordedCase, readCases } from './case-file.ts';
import { libraryWay } from './library.ts';
import { proxyWay } from './proxy.ts';
import { type FoundDifference, type ReplayReport, replay, replayAdmission, undocumented } from './replay.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Scenarios of Istio's own tests; they are not part of the project. */
export const ISTIO_CASES: string = resolve(ROOT, '../shared/conformance/istio');
const SHOWN = 40;

type Replay = (cases: readonly RecordedCase[]) => ReplayReport | Promise<ReplayReport>;

/** What is compared, by name: resources through admission, requests through each runner. */
const WAYS: Readonly<Record<string, Replay>> = {
  admission: replayAdmission,
  library: (cases) => replay(cases, libraryWay),
  proxy: (cases) => replay(cases, proxyWay),
};

/** Directories that are replayed by default. */
function defaultFolders(): readonly string[] {
  const own = ['cases', 'random', 'found'].map((name) => join(import.meta.dirname, name));
  return existsSync(ISTIO_CASES) ? [...own, ISTIO_CASES] : own;
}

const COLUMNS = ['cases', 'requests', 'equal', 'documented', 'undocumented', 'not yet', 'no record'] as const;

function row(names: readonly [string, string], cells: readonly (string | number)[]): string {
  const [way, folder] = names;
  return `${way.padEnd(10)} ${folder.padEnd(12)}${cells.map((cell, at) => String(cell).padStart((COLUMNS[at] ?? '').length + 2)).join('')}`;
}

function tableRow(names: readonly [string, string], report: ReplayReport): string {
  const items = (list: readonly FoundDifference[]): number => new Set(list.map(({ file, item }) => `${file} ${item}`)).size;
  const faults = items(undocumented(report));
  const documented = items(report.differences) - faults;
  return row(names, [report.cases, report.replayed, report.equal, documented, faults, report.notYet, report.unrecorded]);
}

function printDifferences(found: readonly FoundDifference[], all: boolean): void {
  const names = new Map<string, number>();
  for (const { documented } of found) if (documented !== undefined) names.set(documented, (names.get(documented) ?? 0) + 1);
  for (const [name, count] of [...names].sort()) console.log(`documented: ${name} (${count} fields), see docs/differences.md`);
  const faults = found.filter(({ documented }) => documented === undefined);
  for (const { file, item, field, recorded, ours } of all ? faults : faults.slice(0, SHOWN)) {
    console.log(`${file} [${item}] ${field}\n    recorded ${recorded}\n    ours     ${ours}`);
  }
  if (!all && faults.length > SHOWN) console.log(`... and ${faults.length - SHOWN} more (--all shows them)`);
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean', default: false }, way: { type: 'string', multiple: true, default: Object.keys(WAYS) } },
  });
  const unknown = values.way.find((name) => WAYS[name] === undefined);
  if (unknown !== undefined) throw new Error(`--way "${unknown}" is not one of ${Object.keys(WAYS).join(', ')}`);
  const sources = (positionals.length > 0 ? positionals : defaultFolders()).map((path) => ({
    name: basename(path),
    cases: readCases(path),
  }));
  if (positionals.length === 0 && !existsSync(ISTIO_CASES)) {
    console.log(`SKIPPED: the scenarios of Istio's own tests are not at ${ISTIO_CASES}`);
  }
  console.log(row(['through', 'directory'], COLUMNS));
  const found: FoundDifference[] = [];
  for (const name of values.way) {
    for (const source of sources) {
      const report = await (WAYS[name] as Replay)(source.cases);
      console.log(tableRow([name, source.name], report));
      found.push(...report.differences);
    }
  }
  console.log('admission counts resources; not yet: not sent in this way; no record: Envoy refused the configuration');
  printDifferences(found, values.all);
  return found.some(({ documented }) => documented === undefined) ? 1 : 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
