/*
 * `npm run oracle:admission -- [--seed N] [--count M] [--show K] [DIR…]`: compares Sallyport's admission with Istio's, first on
 * every recorded resource, then on objects generated from the seed. Prints each difference and a table. Exit code 1 if there is
 * a difference, 2 if nothing could be compared.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRandom } from '../../fuzz/random.ts';
import { compareAdmission } from './compare.ts';
import { type OddObject, oddObject } from './generate.ts';
import { type Admission, askIstio, missingTool } from './program.ts';
import { disagreements, type Recording, readRecordings } from './recordings.ts';

const OWN_RECORDINGS = ['../../conformance/cases/', '../../conformance/random/'];
const BATCH = 5_000;
const SHOWN_CHARACTERS = 1_500;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    count: { type: 'string', default: '20000' },
    show: { type: 'string', default: '20' },
  },
});
const seed = values.seed === undefined ? randomInt(2 ** 31) : wholeNumber('seed', values.seed);
const count = wholeNumber('count', values.count);
const mostShown = wholeNumber('show', values.show);
const agreed = new Map<string, number>();
const differing = new Map<string, number>();
let shown = 0;

const missing = missingTool();
if (missing === undefined) {
  process.stdout.write(`seed ${seed}\n`);
  const recordings = readRecordings([...OWN_RECORDINGS.map((folder) => fileURLToPath(new URL(folder, import.meta.url))), ...positionals]);
  await compareRecordings(recordings);
  await compareMadeUp(recordings.map(({ object }) => object));
  printTable();
  process.exitCode = differing.size > 0 ? 1 : 0;
} else {
  process.stderr.write(`oracle:admission has compared NOTHING: ${missing}\n`);
  process.exitCode = 2;
}

async function compareRecordings(recordings: readonly Recording[]): Promise<void> {
  const answers = await askIstio(recordings.map(({ object }) => object));
  for (const [index, recording] of recordings.entries()) {
    const answer = answers[index] as Admission;
    for (const text of disagreements(recording, answer)) show('record and oracle', recording.object, [`${recording.file}: ${text}`]);
    compare('recorded', recording.object, answer);
  }
}

async function compareMadeUp(seeds: readonly OddObject[]): Promise<void> {
  const random = createRandom(seed);
  for (let done = 0; done < count; done += BATCH) {
    const objects = Array.from({ length: Math.min(count - done, BATCH) }, () => oddObject(random, seeds));
    const answers = await askIstio(objects);
    for (const [index, object] of objects.entries()) compare('generated', object, answers[index] as Admission);
    process.stderr.write(
      `${done + objects.length} of ${count}, ${[...differing.values()].reduce((sum, one) => sum + one, 0)} differences\n`,
    );
  }
}

function compare(origin: string, object: OddObject, answer: Admission): void {
  add(agreed, `${origin}: ${outcomeOf(answer)}`);
  for (const { kind, about, ours, theirs } of compareAdmission(object, answer)) {
    if (kind === 'go-text') add(agreed, 'same refusal in other words of a Go library');
    else show(`${kind}, ${about}`, object, [`ours   ${clip(ours)}`, `Istio  ${clip(theirs)}`]);
  }
}

function outcomeOf({ unreadable, crd, pruned }: Admission): string {
  if (unreadable !== undefined) return 'unreadable';
  if ((crd ?? []).length > 0) return 'refused by the CRD';
  return pruned.allowed ? 'admitted' : 'refused by the webhook';
}

function show(name: string, object: OddObject, lines: readonly string[]): void {
  add(differing, name);
  shown += 1;
  if (shown > mostShown) return;
  process.stdout.write([`--- ${name}`, `object ${clip(JSON.stringify(object))}`, ...lines].map((line) => `${line}\n`).join(''));
}

function printTable(): void {
  const rows = [...agreed, ...[...differing].map(([name, times]) => [`DIFFERENT: ${name}`, times] as const)];
  for (const [name, times] of [...rows].sort()) process.stdout.write(`${String(times).padStart(8)}  ${name}\n`);
  if (shown > mostShown) process.stdout.write(`${shown - mostShown} more differences are not shown; --show K shows more\n`);
}

function clip(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

function add(table: Map<string, number>, name: string): void {
  table.set(name, (table.get(name) ?? 0) + 1);
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${option} requires an integer, not ${JSON.stringify(text)}`);
  return Number(text);
}
