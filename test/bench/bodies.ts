/*
 * `node test/bench/bodies.ts [--gigabytes N] [--rounds N] [--source DIR]`: bodies of two gigabytes through the agent and through a real Envoy,
 * up (by length and in chunks) and down, in turns. Prints the highest resident memory and the CPU time with its ratio to Envoy.
 * The proxies share core 1; client and application share core 0.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { findEnvoy, writePlainEnvoyConfig } from './support/envoy.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';

const PROXY_CORE = 1;
const LOAD_CORE = 0;
const APPLICATION_PORT = 21_800;
const AGENT_PORT = 21_801;
const ENVOY_PORT = 21_803;
const PIECE = Buffer.alloc(256 * 1024, 'x');
const HEADERS = { authorization: `Bearer ${TOKEN}` };

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    source: { type: 'string', default: '.' },
  },
});
const pieces = Math.ceil((Number(values.gigabytes) * 1e9) / PIECE.length);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-bodies-'));
const running: Pinned[] = [];

function body(): Readable {
  let left = pieces;
  return new Readable({
    highWaterMark: PIECE.length,
    read() {
      this.push(left-- > 0 ? PIECE : null);
    },
  });
}

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const _ of incoming) {
    // Only read.
  }
  if (incoming.url === '/down') {
    response.setHeader('content-length', pieces * PIECE.length);
    await pipeline(body(), response);
  } else response.end('ok');
}

type Direction = 'up by length' | 'up in chunks' | 'down';

async function transfer(port: number, direction: Direction): Promise<void> {
  const isUp = direction !== 'down';
  const length = direction === 'up by length' ? { 'content-length': pieces * PIECE.length } : {};
  const sent = request({
    port,
    host: '127.0.0.1',
    agent: false,
    method: isUp ? 'POST' : 'GET',
    path: isUp ? '/up' : '/down',
    headers: { ...HEADERS, ...length },
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  if (isUp) await pipeline(body(), sent);
  else sent.end();
  const [response] = await answered;
  if (response.statusCode !== 200) throw new Error(`port ${port}: ${response.statusCode}`);
  let received = 0;
  for await (const bytes of response as AsyncIterable<Buffer>) received += bytes.length;
  if (!isUp && received !== pieces * PIECE.length) throw new Error(`port ${port}: ${received} bytes`);
}

/** Highest resident memory so far, in MiB. */
function peakMiB(pid: number): number {
  return Number(/^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

async function main(): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error('this benchmark needs Envoy (pip)');
  const application = createServer((incoming, response) => void serve(incoming, response));
  application.listen(APPLICATION_PORT, '127.0.0.1');
  const bundle = join(directory, 'bundle');
  writeDemoBundle(bundle);
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const ports = ['--ports', `${AGENT_PORT}:${APPLICATION_PORT}`, '--admin-port', String(AGENT_PORT + 1)];
  const until = (port: number): object => ({ core: PROXY_CORE, until: { url: `http://127.0.0.1:${port}/up`, headers: HEADERS } });
  const agent = await startPinned([...agentCommand(source), entry, ...ports, '--bundle-dir', bundle], {
    core: PROXY_CORE,
    ...until(AGENT_PORT),
  });
  running.push(agent);
  const config = { listenPort: ENVOY_PORT, adminPort: ENVOY_PORT + 1, upstreamPort: APPLICATION_PORT };
  const envoy = await startPinned(writePlainEnvoyConfig(binary, directory, config), { core: PROXY_CORE, ...until(ENVOY_PORT) });
  running.push(envoy);
  for (const direction of ['up by length', 'up in chunks', 'down'] as const) {
    const cpu = [0, 0] as [number, number];
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const proxy = at === 0 ? agent : envoy;
        const before = proxy.cpuNanos();
        await transfer(at === 0 ? AGENT_PORT : ENVOY_PORT, direction);
        cpu[at] += (proxy.cpuNanos() - before) / 1e9;
      }
    }
    const [ours, theirs] = cpu.map((seconds) => seconds / Number(values.rounds)) as [number, number];
    process.stdout.write(
      `${direction.padEnd(13)} CPU s: agent ${ours.toFixed(2)}, Envoy ${theirs.toFixed(2)}, ratio ${(ours / theirs).toFixed(2)}; ` +
        `peak MiB so far: agent ${peakMiB(agent.pid).toFixed(1)}, Envoy ${peakMiB(envoy.pid).toFixed(1)}\n`,
    );
    reportRatio(['bodies', direction, 'CPU to Envoy'], ours / theirs, TOLERANCE.cpu);
  }
  application.closeAllConnections();
  application.close();
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
