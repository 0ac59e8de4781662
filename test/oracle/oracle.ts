/*
 * `npm run oracle -- [--seed N] [--cases M] [--keep DIR]`: real Istio and real Envoy decide generated policies and requests, and
 * the replay reports every difference. `--again DIR|FILE` records known cases again instead, and reports where the oracle
 * differs from the record. `--wire` sends every request to built agents, too, at the same time. `--proofs M` puts M counterexamples of the prover to both sets of policies instead. Exit code 1 on an undocumented difference, or if Envoy serves less than half of the requests.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProcess } from '../../scripts/build.ts';
import { ENVOY_VERSION, findEnvoy } from '../bench/support/envoy.ts';
import { type RecordedCase, readCases } from '../conformance/case-file.ts';
import { compareOutcome } from '../conformance/compare.ts';
import { libraryWay } from '../conformance/library.ts';
import { proxyWay } from '../conformance/proxy.ts';
import { type FoundDifference, type ReplayReport, replay, replayAdmission, undocumented } from '../conformance/replay.ts';
import { generateCases } from './generate/generate.ts';
import { generateProofs, type ProofCase } from './generate/proofs.ts';
import { askIstio, buildIstio, istioVersion } from './istio.ts';
import type { Todo } from './recorder.ts';
import { inOwnNetwork } from './wire/redirect.ts';
import { asSeenOnTheWire, wireWay } from './wire/wire-file.ts';

const SHOWN = 40;
/** Built agents, below the directory of the records. */
const DIST = 'dist';

type Unrecorded = Todo['recorded'];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Missing requirements of this machine, for the user. @param wire agents get the requests, too */
function missing(wire: boolean): readonly string[] {
  const lacks: string[] = [];
  if (process.platform !== 'linux') lacks.push(`Linux (this is ${process.platform})`);
  if (process.getuid?.() !== 0) lacks.push('root, for a separate network namespace');
  for (const [program, use] of Object.entries({ go: 'to build Istio', unshare: 'and ip, for the namespace', ip: 'for the namespace' })) {
    if (spawnSync('which', [program]).status !== 0) lacks.push(`${program}, ${use}`);
  }
  if (wire && spawnSync('iptables-restore', ['--version']).status !== 0) lacks.push('iptables, to lead connections to agents');
  return lacks;
}

/** Cases as they are in files, including every kind of resource. */
function readWhole(path: string): readonly Unrecorded[] {
  const files = path.endsWith('.json')
    ? [path]
    : readdirSync(path)
        .filter((name) => name.endsWith('.json'))
        .sort()
        .map((name) => join(path, name));
  return files.map((file) => {
    const { istio: _istio, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as RecordedCase;
    return { ...rest, file: basename(file, '.json') };
  });
}

/** Runs `cases` through Istio and Envoy and writes the records to `out`. @param agent file of a built agent that gets every request, too */
async function record(cases: readonly Unrecorded[], envoy: string, out: string, agent?: string): Promise<void> {
  const folder = await buildIstio();
  const answers = await askIstio(folder, cases, (done) => process.stderr.write(`compiled ${done}/${cases.length} cases\n`));
  const versions = { istio: istioVersion(), envoy: ENVOY_VERSION };
  const todo = cases.flatMap((recorded, index): Todo[] => {
    const answer = answers[index] ?? { fault: 'no answer' };
    if (answer.fault === undefined) return [{ recorded, answer, versions }];
    say(`LEFT OUT: ${recorded.file}: ${answer.fault}`);
    return [];
  });
  const todoPath = join(out, 'todo.ndjson');
  writeFileSync(todoPath, todo.map((item) => `${JSON.stringify(item)}\n`).join(''));
  const recorder = join(import.meta.dirname, 'recorder.ts');
  const [program = '', ...args] = inOwnNetwork([process.execPath, recorder, todoPath, out, envoy, ...(agent === undefined ? [] : [agent])]);
  const { status } = spawnSync(program, args, { stdio: 'inherit' });
  rmSync(todoPath);
  if (status !== 0) throw new Error('the recorder failed');
}

/** Builds the agent. @returns its file */
async function builtAgent(out: string): Promise<string> {
  for (const name of ['agent', 'agent-grpc'] as const) await buildProcess(name, join(out, DIST));
  return join(out, DIST, 'agent.mjs');
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, index) => (index === 0 ? String(cell).padEnd(10) : String(cell).padStart(12))).join(' ');
}

function tell(name: string, report: ReplayReport): readonly FoundDifference[] {
  const faults = undocumented(report);
  const items = (list: readonly FoundDifference[]): number => new Set(list.map(({ file, item }) => `${file} ${item}`)).size;
  const documented = report.differences.filter((difference) => difference.documented !== undefined);
  const { cases, replayed, equal, notYet, unrecorded } = report;
  say(row([name, cases, replayed, equal, items(documented), items(faults), notYet, unrecorded]));
  return faults;
}

/** @param wire agents have got the requests, too */
async function judge(folder: string, wire: boolean): Promise<readonly FoundDifference[]> {
  const cases = readCases(folder);
  say(row(['', 'cases', 'requests', 'equal', 'documented', 'undocumented', 'not yet', 'no record']));
  const faults = [
    ...tell('admission', replayAdmission(cases)),
    ...tell('library', await replay(cases, libraryWay)),
    ...tell('proxy', await replay(cases, proxyWay)),
    ...(wire ? tell('wire', await replay(cases.map(asSeenOnTheWire), wireWay(folder))) : []),
  ];
  for (const { file, item, field, recorded, ours } of faults.slice(0, SHOWN)) {
    say(`${file} [${item}] ${field}\n    Istio and Envoy ${recorded}\n    ours            ${ours}`);
  }
  if (faults.length > SHOWN) say(`... and ${faults.length - SHOWN} more: npm run conformance -- ${folder} --all`);
  return faults;
}

/** Prints where new records of known cases differ from the old ones. @returns number of differing requests */
function compareRecords(before: readonly RecordedCase[], folder: string): number {
  const now = new Map(readCases(folder).map((recorded) => [recorded.file, recorded]));
  let requests = 0;
  let different = 0;
  for (const { file, requests: old, istio } of before) {
    const again = now.get(file);
    const stages = (from: RecordedCase['istio'] | undefined): string =>
      JSON.stringify((from?.rejected ?? []).map(({ resource, stage }) => `${resource} ${stage}`).sort());
    if (stages(istio) !== stages(again?.istio)) say(`${file} admission\n    before ${stages(istio)}\n    now    ${stages(again?.istio)}`);
    for (const [index, request] of old.entries()) {
      const observed = again?.requests[index]?.observed;
      requests += 1;
      const found =
        request.observed === undefined || observed === undefined
          ? request.observed === observed
            ? []
            : [{ field: 'observed', recorded: JSON.stringify(request.observed), ours: JSON.stringify(observed) }]
          : compareOutcome(request.observed, observed, { framing: true, everyHeader: istio.recorder === 2 });
      different += found.length > 0 ? 1 : 0;
      for (const { field, recorded, ours } of found) say(`${file} [${request.name}] ${field}\n    before ${recorded}\n    now    ${ours}`);
    }
  }
  say(`${before.length} cases, ${requests} requests recorded again, ${different} differ from their record`);
  return different;
}

/** Prints counterexamples that Envoy decides otherwise. @returns their number */
function compareProofs(proofs: readonly ProofCase[], folder: string): number {
  const recorded = new Map(readCases(folder).map((one) => [one.file, one]));
  const isLetIn = (file: string | undefined): boolean | undefined => {
    const observed = recorded.get(file ?? '')?.requests[0]?.observed;
    return observed === undefined ? undefined : observed.outcome === 'allow';
  };
  let different = 0;
  for (const { cases, direction } of proofs) {
    const [before, after] = [isLetIn(cases[0].file), isLetIn(cases[1].file)];
    const isShown = direction === 'widened' ? before === false && after === true : before === true && after === false;
    if (isShown) continue;
    different += 1;
    say(`${cases[0].file}: not ${direction}: let in before: ${String(before)}, after: ${String(after)}`);
  }
  say(`${proofs.length} counterexamples, ${different} that Istio and Envoy decide otherwise`);
  return different;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      cases: { type: 'string', default: '200' },
      keep: { type: 'string' },
      again: { type: 'string' },
      proofs: { type: 'string' },
      wire: { type: 'boolean', default: false },
    },
  });
  const envoy = await findEnvoy();
  const lacks = [...missing(values.wire), ...(envoy === undefined ? ['pip, to fetch Envoy'] : [])];
  if (envoy === undefined || lacks.length > 0) {
    say(`NOT RUN: the oracle needs ${lacks.join('; ')}`);
    return 2;
  }
  const out = values.keep === undefined ? mkdtempSync(join(tmpdir(), 'sallyport-records-')) : resolve(values.keep);
  mkdirSync(out, { recursive: true });
  if (values.again !== undefined) {
    await record(readWhole(values.again), envoy, out);
    return compareRecords(readCases(values.again), out) > 0 ? 1 : 0;
  }
  const seed = Number(values.seed ?? Date.now() % 1_000_000_007);
  say(`seed ${seed}`);
  if (values.proofs !== undefined) {
    const proofs = generateProofs(seed, Number(values.proofs));
    await record(
      proofs.flatMap(({ cases }) => cases),
      envoy,
      out,
    );
    return compareProofs(proofs, out) > 0 ? 1 : 0;
  }
  await record(generateCases(seed, Number(values.cases)), envoy, out, values.wire ? await builtAgent(out) : undefined);
  rmSync(join(out, DIST), { recursive: true, force: true });
  const faults = await judge(out, values.wire);
  const unserved = readCases(out).filter(({ istio }) => istio.envoyRejected !== undefined).length;
  if (unserved > 0) say(`${unserved} cases have no record: Envoy refused their configuration (istio.envoyRejected says why)`);
  if (values.keep === undefined) rmSync(out, { recursive: true });
  else say(`records kept in ${out}`);
  // A run in which Envoy serves few requests proves nothing.
  return faults.length > 0 || unserved * 2 > Number(values.cases) ? 1 : 0;
}

process.exitCode = await main();
