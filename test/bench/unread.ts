/*
 * `node test/bench/unread.ts [--seconds N] [--connections 1,100] [--only KIND] [--source DIR]`: memory of an agent whose
 * clients pipeline requests and read nothing, for every kind of answer. A new agent for each row, as it runs in its image; good clients ask
 * it meanwhile. Prints how far the resident memory rises above that of the idle agent, and what the good clients got.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { type Pinned, startPinned, statusOf } from './support/processes.ts';
import { bearerRequest, RawClient } from './support/raw-client.ts';

const AGENT_CORE = 1;
const APPLICATION_PORT = 21_900;
const AGENT_PORT = 21_901;
const IDLE_MS = 2000;
const SAMPLE_MS = 50;
const GOOD_CLIENTS = 4;
const GOOD_INTERVAL_MS = 20;
const REQUESTS_PER_WRITE = 500;
const LARGE_BODY = Buffer.alloc(1024 * 1024, 'x');
const SMALL_BODY = Buffer.alloc(200, 'x');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '15' },
    connections: { type: 'string', default: '1,100' },
    only: { type: 'string', default: '' },
    source: { type: 'string', default: '.' },
  },
});
const seconds = Number(values.seconds);
const source = resolve(values.source);
const directory = mkdtempSync(join(tmpdir(), 'sallyport-unread-'));

interface Kind {
  readonly name: string;
  readonly request: string;
  readonly status: string;
  /** The agent has no bundle: every request gets 503. */
  readonly noBundle?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: '401', request: bearerRequest('/', 'garbage'), status: '401' },
  { name: '403', request: 'GET /denied HTTP/1.1\r\nHost: app\r\n\r\n', status: '403' },
  { name: '404', request: 'OPTIONS * HTTP/1.1\r\nHost: app\r\n\r\n', status: '404' },
  { name: '503', request: 'GET / HTTP/1.1\r\nHost: app\r\n\r\n', status: '503', noBundle: true },
  { name: '200', request: bearerRequest('/small', TOKEN), status: '200' },
  { name: '200 with 1 MiB', request: bearerRequest('/large', TOKEN), status: '200' },
];

/** Sends requests as fast as the agent takes them, and reads nothing. */
function flood(request: string): Socket {
  const requests = Buffer.from(request.repeat(REQUESTS_PER_WRITE));
  const socket = connect({ port: AGENT_PORT, host: '127.0.0.1' });
  const write = (): void => {
    if (socket.write(requests)) setImmediate(write);
    else socket.once('drain', write);
  };
  socket.pause();
  socket.on('error', () => {});
  socket.once('connect', write);
  return socket;
}

interface Good {
  requests: number;
  failed: number;
}

async function askWell(status: string, good: Good, isOver: () => boolean): Promise<void> {
  const client = new RawClient(AGENT_PORT);
  while (!isOver()) {
    good.requests += 1;
    if ((await client.send(bearerRequest('/small', TOKEN))) !== status) good.failed += 1;
    await sleep(GOOD_INTERVAL_MS);
  }
  client.close();
}

async function startAgent(entry: string, { noBundle }: Kind): Promise<Pinned> {
  const bundle = join(directory, noBundle === true ? 'empty' : 'bundle');
  const ports = ['--ports', `${AGENT_PORT}:${APPLICATION_PORT}`, '--admin-port', String(AGENT_PORT + 1)];
  const agent = await startPinned([...agentCommand(source), entry, ...ports, '--bundle-dir', bundle], { core: AGENT_CORE });
  while ((await statusOf(`http://127.0.0.1:${AGENT_PORT + 1}/healthz`, {})) !== 200) await sleep(SAMPLE_MS);
  return agent;
}

async function measure(entry: string, kind: Kind, connections: number): Promise<void> {
  const agent = await startAgent(entry, kind);
  try {
    const probe = new RawClient(AGENT_PORT);
    const status = await probe.send(kind.request);
    if (status !== kind.status) throw new Error(`expected ${kind.status}, got ${status}`);
    probe.close();
    await sleep(IDLE_MS);
    const idle = agent.rssMiB();
    const good: Good = { requests: 0, failed: 0 };
    const endMs = performance.now() + seconds * 1000;
    const isOver = (): boolean => performance.now() > endMs;
    const sockets = Array.from({ length: connections }, () => flood(kind.request));
    const clients = Array.from({ length: GOOD_CLIENTS }, () => askWell(kind.noBundle === true ? '503' : '200', good, isOver));
    let highest = idle;
    while (!isOver()) {
      highest = Math.max(highest, agent.rssMiB());
      await sleep(SAMPLE_MS);
    }
    const last = agent.rssMiB();
    await Promise.all(clients);
    for (const socket of sockets) socket.resetAndDestroy();
    process.stdout.write(
      `${kind.name.padEnd(15)} ${String(connections).padStart(4)} connections: idle ${idle.toFixed(1)}, highest +${(highest - idle).toFixed(1)}, ` +
        `last +${(last - idle).toFixed(1)} MiB; good requests ${good.requests}, failed ${good.failed}\n`,
    );
  } finally {
    await agent.stop();
  }
}

async function main(): Promise<void> {
  const application = createServer((request, response) => response.end(request.url === '/large' ? LARGE_BODY : SMALL_BODY));
  application.listen(APPLICATION_PORT, '127.0.0.1');
  const entry = join(directory, 'agent.mjs');
  await buildAgent(source, entry);
  writeDemoBundle(join(directory, 'bundle'));
  mkdirSync(join(directory, 'empty'));
  for (const kind of KINDS.filter(({ name }) => name.includes(values.only))) {
    for (const connections of values.connections.split(',')) await measure(entry, kind, Number(connections));
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
  rmSync(directory, { recursive: true });
}
