/*
 * `node test/bench/admin.ts [--seconds N] [--source DIR]`: probes of the kubelet and good requests while the admin port is held by 1,000 idle
 * connections, and while it is flooded with scrapes. A probe counts when it has its 200 within a second, the kubelet's default.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent, buildUpstream } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const AGENT_CORE = 1;
const LOAD_CORE = 0;
const UPSTREAM_PORT = 21_740;
const AGENT_PORT = 21_741;
const ADMIN_PORT = 21_742;
const IDLE = 1000;
const SCRAPERS = 50;
const PROBE_EVERY_MS = 1000;
const GOOD_EVERY_MS = 10;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, source: { type: 'string', default: '.' } } });
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-admin-'));
const running: Pinned[] = [];

/** Status of a request on its own connection; 0: none within a second. */
async function get(path: string): Promise<number> {
  const asked = request({ port: ADMIN_PORT, host: '127.0.0.1', path, agent: false, signal: AbortSignal.timeout(PROBE_EVERY_MS) });
  asked.end();
  try {
    const [response] = await once(asked, 'response');
    for await (const _ of response) {
      // Only read.
    }
    return response.statusCode;
  } catch {
    return 0;
  }
}

/** Holds a connection without sending anything, again and again. */
async function hold(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const socket = connect({ port: ADMIN_PORT, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.resume();
    const closed = once(socket, 'close').catch(() => {});
    while (!isOver() && !socket.destroyed) await Promise.race([closed, sleep(PROBE_EVERY_MS)]);
    socket.destroy();
  }
}

async function measure(name: string, agent: Pinned, disturb: (isOver: () => boolean) => Promise<unknown>): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  const isOver = (): boolean => performance.now() > endMs;
  const before = agent.rssMiB();
  const disturbed = disturb(isOver);
  const probes: number[] = [];
  const latencies: number[] = [];
  let failed = 0;
  const ask = async (): Promise<void> => {
    const client = new RawClient(AGENT_PORT);
    while (!isOver()) {
      const startMs = performance.now();
      if ((await client.send(bearerRequest('/', TOKEN))) !== '200') failed += 1;
      latencies.push(performance.now() - startMs);
      await sleep(GOOD_EVERY_MS);
    }
    client.close();
  };
  const good = ask();
  while (!isOver()) {
    const [status] = await Promise.all([get(probes.length % 2 === 0 ? '/healthz' : '/readyz'), sleep(PROBE_EVERY_MS)]);
    probes.push(status);
  }
  await Promise.all([good, disturbed]);
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  process.stdout.write(
    `${name.padEnd(28)} probes ${probes.filter((status) => status === 200).length} of ${probes.length}; good requests ${latencies.length}, failed ${failed}, ` +
      `p50 ${at(0.5)} p99 ${at(0.99)} ms; RSS ${before.toFixed(1)} then ${agent.rssMiB().toFixed(1)} MiB\n`,
  );
}

async function main(): Promise<void> {
  running.push(await startPinned([buildUpstream(directory), String(UPSTREAM_PORT), '200'], { core: LOAD_CORE }));
  const bundle = join(directory, 'bundle');
  writeDemoBundle(bundle);
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const ports = ['--ports', `${AGENT_PORT}:${UPSTREAM_PORT}`, '--admin-port', String(ADMIN_PORT)];
  const agent = await startPinned([...agentCommand(source), entry, ...ports, '--bundle-dir', bundle], {
    core: AGENT_CORE,
    until: { url: `http://127.0.0.1:${AGENT_PORT}/`, headers: { authorization: `Bearer ${TOKEN}` } },
  });
  running.push(agent);
  await measure('undisturbed', agent, async () => {});
  await measure(`${IDLE} idle connections`, agent, (isOver) => Promise.all(Array.from({ length: IDLE }, () => hold(isOver))));
  const statuses = new Map<number, number>();
  await measure(`${SCRAPERS} scrapers without pause`, agent, (isOver) =>
    Promise.all(
      Array.from({ length: SCRAPERS }, async () => {
        while (!isOver()) {
          const status = await get('/metrics');
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      }),
    ),
  );
  process.stdout.write(`scrapes: ${[...statuses].map(([status, count]) => `${count} times ${status}`).join(', ')}\n`);
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
