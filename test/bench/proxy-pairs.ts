/*
 * `node test/bench/proxy-pairs.ts --before DIR --after DIR [--pairs N] [--seconds N] [--connections N]`: compares the agents of two
 * source trees, each with the Node.js flags of its image. Both run with the same bundle behind the same application; each pair measures
 * one after the other under the same load, in alternating order. Prints the ratio of CPU time a request (after / before) with its 95 % interval, resident memory and start-up.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { agentFlags } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { pairedRatio } from './support/paired-ratio.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { hasWrk, runWrk } from './support/wrk.ts';

const AGENT_CORE = 1;
const LOAD_CORE = 0;
const PATH = '/api/v1/svc0/orders/42';
const UPSTREAM_PORT = 18_800;
const HEADERS = { Authorization: `Bearer ${TOKEN}` };
const START_UPS = 10;

const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    after: { type: 'string' },
    pairs: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '1' },
    connections: { type: 'string', default: '32' },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);

interface Side {
  readonly port: number;
  readonly command: readonly string[];
  agent: Pinned;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-pairs-'));
const running: Pinned[] = [];

async function main(): Promise<void> {
  if (values.before === undefined || values.after === undefined) throw new Error('usage: --before DIR --after DIR');
  if (!hasWrk()) throw new Error('this benchmark needs wrk (Debian package wrk)');
  running.push(await startPinned([buildUpstream(folder), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const before = await prepare('before', values.before, UPSTREAM_PORT + 1);
  const after = await prepare('after', values.after, UPSTREAM_PORT + 3);
  const startUps = await compareStartUps(before, after);
  await start(before);
  await start(after);
  const idle = [before.agent.rssMiB(), after.agent.rssMiB()];
  for (const side of [before, after, before, after]) await measure(side);
  const pairs: (readonly [before: number, after: number])[] = [];
  for (let at = 0; at < Number(values.pairs); at += 1) {
    const [first, second] = at % 2 === 0 ? [before, after] : [after, before];
    const one = await measure(first);
    const two = await measure(second);
    pairs.push(at % 2 === 0 ? [one, two] : [two, one]);
  }
  const loaded = [before.agent.rssMiB(), after.agent.rssMiB()];
  print('CPU us/request', pairs);
  print('start-up ms', startUps.wall);
  print('start-up CPU ms', startUps.cpu);
  process.stdout.write(`RSS MiB, idle: ${show(idle)}; after the load: ${show(loaded)}\n`);
}

async function prepare(name: string, root: string, port: number): Promise<Side> {
  const entry = join(folder, `${name}.mjs`);
  await buildAgent(resolve(root), entry);
  const bundle = join(folder, `bundle-${name}`);
  writeDemoBundle(bundle, 0);
  const flags = ['--ports', `${port}:${UPSTREAM_PORT}`, '--admin-port', String(port + 1), '--bundle-dir', bundle, '--access-log', 'on'];
  const command = [process.execPath, ...agentFlags(resolve(root)), entry, ...flags];
  const agent: Pinned = { pid: 0, startMs: 0, cpuMicros: () => 0, cpuNanos: () => 0, rssMiB: () => 0, stop: () => Promise.resolve() };
  return { port, command, agent };
}

async function start(side: Side): Promise<void> {
  const url = `http://127.0.0.1:${side.port}${PATH}`;
  side.agent = await startPinned(side.command, { core: AGENT_CORE, until: { url, headers: HEADERS } });
  running.push(side.agent);
}

interface StartUps {
  readonly wall: (readonly [number, number])[];
  readonly cpu: (readonly [number, number])[];
}

async function compareStartUps(before: Side, after: Side): Promise<StartUps> {
  const startUps: StartUps = { wall: [], cpu: [] };
  for (let at = 0; at <= START_UPS; at += 1) {
    const wall: number[] = [];
    const cpu: number[] = [];
    for (const side of [before, after]) {
      await start(side);
      wall.push(side.agent.startMs);
      cpu.push(side.agent.cpuNanos() / 1e6);
      await side.agent.stop();
    }
    // The first start fills the caches of the file system.
    if (at === 0) continue;
    startUps.wall.push([wall[0] ?? 0, wall[1] ?? 0]);
    startUps.cpu.push([cpu[0] ?? 0, cpu[1] ?? 0]);
  }
  return startUps;
}

/** Microseconds of CPU time a request. */
async function measure({ port, agent }: Side): Promise<number> {
  const before = agent.cpuNanos();
  const result = await runWrk({ url: `http://127.0.0.1:${port}${PATH}`, connections, seconds, core: LOAD_CORE, headers: HEADERS });
  if (result.failures > 0) throw new Error(`port ${port}: ${result.failures} failed requests`);
  return (agent.cpuNanos() - before) / 1000 / result.requests;
}

function print(what: string, pairs: readonly (readonly [number, number])[]): void {
  const { ratio, low, high } = pairedRatio(pairs);
  const median = (at: 0 | 1): number => [...pairs].map((pair) => pair[at]).sort((a, b) => a - b)[pairs.length >> 1] ?? 0;
  process.stdout.write(
    `${what}: before ${median(0).toFixed(1)}, after ${median(1).toFixed(1)} (medians); ` +
      `ratio ${ratio.toFixed(3)}, 95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}, ${pairs.length} pairs\n`,
  );
}

function show([before = 0, after = 0]: readonly number[]): string {
  return `before ${before.toFixed(1)}, after ${after.toFixed(1)}, ratio ${(after / before).toFixed(3)}`;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const one of running) await one.stop();
  rmSync(folder, { recursive: true });
}
