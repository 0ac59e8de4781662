/*
 * `node test/bench/proxy-pairs.ts --before DIR --after DIR [--pairs N] [--seconds N] [--connections N] [--start-ups N] [--statuses
 * LIST]`: compares the agents of two source trees, each with the Node.js flags of its image. Both run with the same policies behind
 * the same application, under the same load in turns of 50 ms: other processes of the machine disturb both alike. A pair is `--seconds` of
 * such turns for each, in two new processes: what V8 optimizes differs between two processes of one program by a few percent. Prints the ratio of CPU time a request (after / before) with its 95 % interval, for requests that are allowed, have no token or have a
 * token with a wrong signature, and resident memory and start-up.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import type * as DemoBundle from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { pairedRatio } from './support/paired-ratio.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const AGENT_CORE = 1;
const LOAD_CORE = 0;
const PATH = '/api/v1/svc0/orders/42';
const UPSTREAM_PORT = 18_800;
const HEADERS = { Authorization: `Bearer ${TOKEN}` };
/** Requests by the status that they get. */
const REQUESTS: ReadonlyMap<string, string> = new Map([
  ['200', bearerRequest(PATH, TOKEN)],
  ['403', `GET ${PATH} HTTP/1.1\r\nHost: app\r\n\r\n`],
  ['401', bearerRequest(PATH, `${TOKEN.slice(0, -8)}AAAAAAAA`)],
]);
const TURN_MS = 50;
const WARM_UP_SECONDS = 2;

const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    after: { type: 'string' },
    pairs: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    'start-ups': { type: 'string', default: '10' },
    statuses: { type: 'string', default: [...REQUESTS.keys()].join() },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);

type Pair = readonly [before: number, after: number];

interface Side {
  readonly port: number;
  readonly command: readonly string[];
  agent: Pinned;
  clients: readonly RawClient[];
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-pairs-'));
const running: Pinned[] = [];
const opened: RawClient[] = [];

async function main(): Promise<void> {
  if (values.before === undefined || values.after === undefined) throw new Error('usage: --before DIR --after DIR');
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  running.push(await startPinned([buildUpstream(folder), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const before = await prepare('before', values.before, UPSTREAM_PORT + 1);
  const after = await prepare('after', values.after, UPSTREAM_PORT + 3);
  const startUps = await compareStartUps(before, after);
  const idle: Pair[] = [];
  for (const status of values.statuses.split(',')) {
    const loaded: Pair[] = [];
    const pairs: Pair[] = [];
    for (let at = 0; at < Number(values.pairs); at += 1) {
      await start(before);
      await start(after);
      idle.push([before.agent.rssMiB(), after.agent.rssMiB()]);
      await measurePair(before, after, status, WARM_UP_SECONDS);
      pairs.push(await measurePair(before, after, status, seconds));
      loaded.push([before.agent.rssMiB(), after.agent.rssMiB()]);
    }
    print(`CPU us/request with ${status}`, pairs);
    print(`RSS MiB after requests with ${status}`, loaded);
  }
  if (startUps.wall.length > 0) {
    print('start-up ms', startUps.wall);
    print('start-up CPU ms', startUps.cpu);
  }
  print('RSS MiB idle', idle);
}

async function prepare(name: string, root: string, port: number): Promise<Side> {
  const entry = join(folder, `${name}.mjs`);
  await buildAgent(resolve(root), entry);
  const bundle = join(folder, `bundle-${name}`);
  // Each tree reads the form of bundles that it writes.
  const module = (await import(join(resolve(root), 'test/bench/support/demo-bundle.ts'))) as typeof DemoBundle;
  module.writeDemoBundle(bundle, 0);
  const flags = ['--ports', `${port}:${UPSTREAM_PORT}`, '--admin-port', String(port + 1), '--bundle-dir', bundle, '--access-log', 'on'];
  const command = [...agentCommand(resolve(root)), entry, ...flags];
  const agent: Pinned = { pid: 0, startMs: 0, cpuMicros: () => 0, cpuNanos: () => 0, rssMiB: () => 0, stop: () => Promise.resolve() };
  return { port, command, agent, clients: [] };
}

async function start(side: Side): Promise<void> {
  const url = `http://127.0.0.1:${side.port}${PATH}`;
  await side.agent.stop();
  side.agent = await startPinned(side.command, { core: AGENT_CORE, until: { url, headers: HEADERS } });
  running.push(side.agent);
  for (const client of side.clients) client.close();
  side.clients = Array.from({ length: connections }, () => new RawClient(side.port));
  opened.push(...side.clients);
}

interface StartUps {
  readonly wall: (readonly [number, number])[];
  readonly cpu: (readonly [number, number])[];
}

async function compareStartUps(before: Side, after: Side): Promise<StartUps> {
  const startUps: StartUps = { wall: [], cpu: [] };
  for (let at = 0; at <= Number(values['start-ups']); at += 1) {
    const wall: number[] = [];
    const cpu: number[] = [];
    for (const side of [before, after]) {
      await start(side);
      wall.push(side.agent.startMs);
      cpu.push(side.agent.cpuNanos() / 1e6);
    }
    // The first start fills the caches of the file system.
    if (at === 0) continue;
    startUps.wall.push([wall[0] ?? 0, wall[1] ?? 0]);
    startUps.cpu.push([cpu[0] ?? 0, cpu[1] ?? 0]);
  }
  return startUps;
}

/** Microseconds of CPU time a request, of both sides in turns. */
async function measurePair(before: Side, after: Side, status: string, secondsEach: number): Promise<Pair> {
  const nanos = [0, 0] as [number, number];
  const requests = [0, 0] as [number, number];
  for (let turn = 0; turn * TURN_MS < secondsEach * 1000; turn += 1) {
    for (const at of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const side = at === 0 ? before : after;
      const startNanos = side.agent.cpuNanos();
      requests[at] += await load(side, status);
      nanos[at] += side.agent.cpuNanos() - startNanos;
    }
  }
  return [nanos[0] / 1000 / requests[0], nanos[1] / 1000 / requests[1]];
}

/** Each connection sends one request after the other for one turn. @returns number of requests */
async function load({ port, clients }: Side, wanted: string): Promise<number> {
  const endMs = performance.now() + TURN_MS;
  let requests = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < endMs) {
        const status = await client.send(REQUESTS.get(wanted) ?? '');
        if (status !== wanted) throw new Error(`port ${port}: a request got ${status}`);
        requests += 1;
      }
    }),
  );
  return requests;
}

function print(what: string, pairs: readonly (readonly [number, number])[]): void {
  const { ratio, low, high } = pairedRatio(pairs);
  const median = (at: 0 | 1): number => [...pairs].map((pair) => pair[at]).sort((a, b) => a - b)[pairs.length >> 1] ?? 0;
  process.stdout.write(
    `${what}: before ${median(0).toFixed(1)}, after ${median(1).toFixed(1)} (medians); ` +
      `ratio ${ratio.toFixed(3)}, 95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}, ${pairs.length} pairs\n`,
  );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  for (const client of opened) client.close();
  for (const one of running) await one.stop();
  rmSync(folder, { recursive: true });
}
