/*
 * `node test/bench/reloads.ts [--seconds N] [--rules N] [--per-second N] [--unsigned] [--source DIR]`: how long the event loop of an
 * agent stalls while its bundle is replaced again and again under load, compared with the same load without replacements. The agent
 * measures itself with a timer of one millisecond. `delay` is how late the timer is; on a busy machine other processes stall the agent as
 * well, which the first row shows. `own` is the part of it in which a thread of the agent ran: its event loop, or, on the same core, those
 * that collect garbage or compile.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../../src/api/kube/names.ts';
import { agentCommand } from '../support/agent-flags.ts';
import { SIGNER, signedFiles } from '../support/signing.ts';
import { type Files, mountVolume } from '../unit/agent/bundles.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const AGENT_CORE = 1;
const LOAD_CORE = 0;
const UPSTREAM_PORT = 21_780;
const AGENT_PORT = 21_781;
const CONNECTIONS = 8;
const REQUEST_EVERY_MS = 5;
const WORKLOAD = { namespace: 'foo', kind: 'deployment', name: 'httpbin' } as const;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rules: { type: 'string', default: '1000' },
    'per-second': { type: 'string', default: '10' },
    unsigned: { type: 'boolean', default: false },
    source: { type: 'string', default: '.' },
  },
});
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-reloads-'));
const running: Pinned[] = [];

/**
 * Loaded into the agent. For every signal it writes percentiles and maxima of delay and of the agent's own part, in ms, and the longest
 * pauses for garbage collection. /proc says when the main thread waited for a core, and how long the other threads ran meanwhile.
 */
const METER = `
import { PerformanceObserver } from 'node:perf_hooks';
import { closeSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs';
const buffer = Buffer.alloc(128);
const read = (fd) => {
  try { return buffer.latin1Slice(0, readSync(fd, buffer, 0, 128, 0)).split(' '); } catch { return ['0', '0']; }
};
const main = openSync('/proc/thread-self/schedstat');
let others = [];
const findOthers = () => {
  for (const fd of others) closeSync(fd);
  others = readdirSync('/proc/self/task').filter((id) => Number(id) !== process.pid).map((id) => openSync('/proc/self/task/' + id + '/schedstat'));
};
findOthers();
const helpersMs = () => others.reduce((sum, fd) => sum + Number(read(fd)[0]) / 1e6, 0);
let delays = [], own = [], pauses = {};
let last = performance.now(), waited = Number(read(main)[1]) / 1e6, helpers = helpersMs(), turn = 0;
setInterval(() => {
  const now = performance.now();
  const waitedNow = Number(read(main)[1]) / 1e6;
  const helpersNow = helpersMs();
  const delay = now - last - 1;
  delays.push(delay);
  own.push(Math.min(delay, delay - (waitedNow - waited) + Math.max(0, helpersNow - helpers)));
  [last, waited, helpers] = [performance.now(), waitedNow, helpersNow];
  turn += 1;
  if (turn % 500 === 0) { findOthers(); helpers = helpersMs(); }
}, 1).unref();
new PerformanceObserver((list) => {
  for (const { duration, detail } of list.getEntries()) pauses[detail.kind] = Math.max(pauses[detail.kind] ?? 0, duration);
}).observe({ entryTypes: ['gc'] });
const summary = (values) => {
  values.sort((a, b) => a - b);
  return [0.5, 0.99, 0.999, 1].map((share) => Math.max(0, values[Math.ceil(values.length * share) - 1] ?? 0));
};
process.on('SIGUSR2', () => {
  writeFileSync(process.env.METER_FILE, JSON.stringify({ delay: summary(delays), own: summary(own), pauses }));
  delays = []; own = []; pauses = {};
});
`;

interface Measured {
  readonly delay: readonly number[];
  readonly own: readonly number[];
  /** Longest pause in ms by kind of collection. */
  readonly pauses: Readonly<Record<string, number>>;
}

/** Kinds of collections in performance entries. */
const SCAVENGE = '1';
const MARK_COMPACT = '4';

/** The files of a bundle with `rules` rules. */
function bundleOf(rules: number): Files {
  const folder = join(directory, `rules-${rules}`);
  writeDemoBundle(folder, rules);
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

/** The same in a slot, compressed and signed, as a controller publishes it. */
function signed(files: Files, number: number): Files {
  const encoded = { workload: WORKLOAD, json: String(files[BUNDLE_KEY]), digest: String(files[BUNDLE_DIGEST_KEY]).trim(), chunks: [] };
  return signedFiles(encoded, { number, slot: number % 2 });
}

async function ask(isOver: () => boolean, counts: Map<string, number>): Promise<void> {
  const client = new RawClient(AGENT_PORT);
  while (!isOver()) {
    const status = await client.send(bearerRequest('/', TOKEN));
    counts.set(status, (counts.get(status) ?? 0) + 1);
    await sleep(REQUEST_EVERY_MS);
  }
  client.close();
}

async function phase(name: string, agent: Pinned, replace: () => Promise<void>): Promise<void> {
  const file = join(directory, 'meter.json');
  process.kill(agent.pid, 'SIGUSR2');
  await sleep(200);
  const endMs = performance.now() + seconds * 1000;
  const isOver = (): boolean => performance.now() > endMs;
  const counts = new Map<string, number>();
  const clients = Array.from({ length: CONNECTIONS }, () => ask(isOver, counts));
  await replace();
  while (!isOver()) await sleep(10);
  await Promise.all(clients);
  process.kill(agent.pid, 'SIGUSR2');
  await sleep(200);
  const { delay, own, pauses } = JSON.parse(readFileSync(file, 'utf8')) as Measured;
  const statuses = [...counts].map(([status, count]) => `${count} times ${status}`).join(', ');
  const longest = (kind: string): string => (pauses[kind] ?? 0).toFixed(1);
  process.stdout.write(
    `${name.padEnd(17)} delay ms: ${show(delay)}; own: ${show(own)}; longest scavenge ${longest(SCAVENGE)}, ` +
      `mark-compact ${longest(MARK_COMPACT)}; requests: ${statuses}\n`,
  );
}

function show([p50 = 0, p99 = 0, p999 = 0, max = 0]: readonly number[]): string {
  return `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, p99.9 ${p999.toFixed(1)}, max ${max.toFixed(1)}`;
}

async function startAgent(volume: string): Promise<Pinned> {
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const meter = join(directory, 'meter.mjs');
  writeFileSync(meter, METER);
  const [env = '', ...command] = agentCommand(source);
  const variables = [`METER_FILE=${join(directory, 'meter.json')}`, `NODE_OPTIONS=--import=${meter}`];
  const ports = ['--ports', `${AGENT_PORT}:${UPSTREAM_PORT}`, '--admin-port', String(AGENT_PORT + 1)];
  const state = join(directory, 'state');
  mkdirSync(state);
  const { namespace, name } = WORKLOAD;
  const trust = values.unsigned ? [] : ['--trust-anchor', SIGNER.anchor, '--namespace', namespace, '--workload', name];
  const agent = await startPinned(
    [env, ...variables, ...command, entry, ...ports, '--bundle-dir', volume, '--state-dir', state, ...trust],
    {
      core: AGENT_CORE,
      until: { url: `http://127.0.0.1:${AGENT_PORT}/`, headers: { authorization: `Bearer ${TOKEN}` } },
    },
  );
  running.push(agent);
  return agent;
}

async function main(): Promise<void> {
  running.push(await startPinned([buildUpstream(directory), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const volume = join(directory, 'volume');
  mkdirSync(volume);
  const rules = Number(values.rules);
  const perSecond = Number(values['per-second']);
  const bundles = [bundleOf(rules), bundleOf(rules + 1)];
  const first = Date.now();
  const files = Array.from({ length: 2 * seconds * perSecond + 1 }, (_, at) =>
    values.unsigned ? (bundles[at % 2] as Files) : signed(bundles[at % 2] as Files, first + at),
  );
  await mountVolume(volume, files[0] as Files);
  const agent = await startAgent(volume);
  await phase('no reloads', agent, async () => {});
  await phase('again no reloads', agent, async () => {});
  let reloads = 0;
  for (const name of ['reloads, cold', 'reloads, warm']) {
    await phase(name, agent, async () => {
      const startMs = performance.now();
      for (let at = 0; at < seconds * perSecond; at += 1) {
        reloads += 1;
        await mountVolume(volume, files[reloads] as Files);
        await sleep(Math.max(0, startMs + ((at + 1) * 1000) / perSecond - performance.now()));
      }
    });
  }
  process.stdout.write(`${reloads} bundles of ${rules} rules, ${perSecond} a second; RSS ${agent.rssMiB().toFixed(1)} MiB\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const one of running) await one.stop();
  rmSync(directory, { recursive: true });
}
