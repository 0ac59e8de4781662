/*
 * `node test/bench/reloads.ts [--seconds N] [--rules N] [--per-second N] [--source DIR]`: how long the event loop of an agent stalls while
 * its bundle is replaced again and again under load, compared with the same load without replacements. The agent measures itself with a
 * timer of one millisecond; on a busy machine other processes stall it as well, which the first row shows.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
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

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rules: { type: 'string', default: '1000' },
    'per-second': { type: 'string', default: '10' },
    source: { type: 'string', default: '.' },
  },
});
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-reloads-'));
const running: Pinned[] = [];

/** Loaded into the agent: writes percentiles and maximum of the loop's delay, in ms, for every signal. */
const METER = `
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { writeFileSync } from 'node:fs';
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGUSR2', () => {
  writeFileSync(process.env.METER_FILE, JSON.stringify([delay.percentile(50), delay.percentile(99), delay.percentile(99.9), delay.max].map((ns) => ns / 1e6 - 1)));
  delay.reset();
});
`;

/** The files of a bundle with `rules` rules. */
function bundleOf(rules: number): Files {
  const folder = join(directory, `rules-${rules}`);
  writeDemoBundle(folder, rules);
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
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
  const [p50, p99, p999, max] = (JSON.parse(readFileSync(file, 'utf8')) as number[]).map((ms) => Math.max(0, ms).toFixed(1));
  const statuses = [...counts].map(([status, count]) => `${count} times ${status}`).join(', ');
  process.stdout.write(`${name.padEnd(24)} loop delay ms: p50 ${p50}, p99 ${p99}, p99.9 ${p999}, max ${max}; requests: ${statuses}\n`);
}

async function main(): Promise<void> {
  running.push(await startPinned([buildUpstream(directory), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const meter = join(directory, 'meter.mjs');
  writeFileSync(meter, METER);
  const volume = join(directory, 'volume');
  mkdirSync(volume);
  const rules = Number(values.rules);
  const bundles = [bundleOf(rules), bundleOf(rules + 1)];
  await mountVolume(volume, bundles[0] as Files);
  const [env = '', ...command] = agentCommand(source);
  const variables = [`METER_FILE=${join(directory, 'meter.json')}`, `NODE_OPTIONS=--import=${meter}`];
  const agent = await startPinned(
    [
      env,
      ...variables,
      ...command,
      entry,
      '--ports',
      `${AGENT_PORT}:${UPSTREAM_PORT}`,
      '--admin-port',
      String(AGENT_PORT + 1),
      '--bundle-dir',
      volume,
    ],
    { core: AGENT_CORE, until: { url: `http://127.0.0.1:${AGENT_PORT}/`, headers: { authorization: `Bearer ${TOKEN}` } } },
  );
  running.push(agent);
  await phase('no reloads', agent, async () => {});
  await phase('again no reloads', agent, async () => {});
  const perSecond = Number(values['per-second']);
  let reloads = 0;
  for (const name of ['reloads, cold', 'reloads, warm']) {
    await phase(name, agent, async () => {
      const startMs = performance.now();
      for (let at = 0; at < seconds * perSecond; at += 1) {
        reloads += 1;
        await mountVolume(volume, bundles[reloads % 2] as Files);
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
