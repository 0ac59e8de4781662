/*
 * `npm run conformance -- [--proxy] [--all] [DIR|FILE ...]`: replays recorded cases and prints how many decisions are the recorded ones.
 * Exit code 1 when a difference is not documented. Without arguments all cases at hand are replayed.
 */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readCases } from './case-file.ts';
import { libraryWay } from './library.ts';
import { proxyWay } from './proxy.ts';
import { type FoundDifference, type ReplayReport, replay, undocumented } from './replay.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Scenarios of Istio's own tests; they live beside the project, not in it. */
export const ISTIO_CASES: string = resolve(ROOT, '../shared/conformance/istio');
const SHOWN = 40;

/** The folders replayed when none is named. */
export function defaultFolders(): readonly string[] {
  const own = [join(import.meta.dirname, 'cases'), join(import.meta.dirname, 'random')];
  return existsSync(ISTIO_CASES) ? [...own, ISTIO_CASES] : own;
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, index) => (index === 0 ? String(cell).padEnd(10) : String(cell).padStart(12))).join(' ');
}

function tableRow(name: string, report: ReplayReport): string {
  const faults = undocumented(report);
  const items = (list: readonly FoundDifference[]): number => new Set(list.map(({ file, item }) => `${file} ${item}`)).size;
  const documented = report.differences.filter((difference) => difference.documented !== undefined);
  return row([name, report.cases, report.resources, report.requests, report.equal, items(documented), items(faults), report.leftOut]);
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean', default: false }, proxy: { type: 'boolean', default: false } },
  });
  const way = values.proxy ? proxyWay : libraryWay;
  const folders = positionals.length > 0 ? positionals : defaultFolders();
  if (positionals.length === 0 && !existsSync(ISTIO_CASES)) {
    console.log(`SKIPPED: the scenarios of Istio's own tests are not at ${ISTIO_CASES}`);
  }
  console.log(row([way.name, 'cases', 'resources', 'requests', 'equal', 'documented', 'undocumented', 'left out']));
  const faults: FoundDifference[] = [];
  const explained = new Map<string, number>();
  for (const folder of folders) {
    const report = await replay(readCases(folder), way);
    console.log(tableRow(basename(folder), report));
    faults.push(...undocumented(report));
    for (const { documented } of report.differences) {
      if (documented !== undefined) {
        explained.set(documented, (explained.get(documented) ?? 0) + 1);
      }
    }
  }
  for (const [name, count] of [...explained].sort()) {
    console.log(`documented: ${name} (${count} fields), see docs/differences.md`);
  }
  for (const { file, item, field, recorded, ours } of values.all ? faults : faults.slice(0, SHOWN)) {
    console.log(`${file} [${item}] ${field}\n    recorded ${recorded}\n    ours     ${ours}`);
  }
  if (!values.all && faults.length > SHOWN) {
    console.log(`... and ${faults.length - SHOWN} more (--all shows them)`);
  }
  process.exitCode = faults.length > 0 ? 1 : 0;
}

if (import.meta.main) {
  await main();
}
