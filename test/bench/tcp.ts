/*
 * `node test/bench/tcp.ts [--pairs N] [--megabytes N] [--connections N]`: TCP connections through the agent and through Envoy's tcp_proxy, each with one ALLOW policy on
 * the port, in turns: bytes to the application, bytes to the client, and short connections. Prints CPU time with its ratio to Envoy. The
 * proxies share core 1; client and application share core 0.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { until } from '../support/fake-clock.ts';
import { buildAgent } from './support/agent-build.ts';
import { writePortBundle } from './support/demo-bundle.ts';
import { findEnvoy, writeTcpEnvoyConfig } from './support/envoy.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { compareSides } from './support/side-by-side.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROXY_CORE = 1;
const LOAD_CORE = 0;
const APPLICATION_PORT = 18_950;
const AGENT_PORT = 18_951;
const ENVOY_PORT = 18_953;
const PIECE = Buffer.alloc(64 * 1024, 'x');
const PATIENCE_MS = 30_000;
/** First byte of a client. */
const ASK = { up: 'u', down: 'd', echo: 'e' } as const;

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    megabytes: { type: 'string', default: '256' },
    connections: { type: 'string', default: '500' },
  },
});
const pieces = Math.ceil((Number(values.megabytes) * 1e6) / PIECE.length);

/** Reads all and sends one byte, sends all, or sends one byte. */
function startApplication(): Server {
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (first: Buffer) => {
      const ask = String.fromCharCode(first[0] ?? 0);
      if (ask === ASK.echo) socket.end('x');
      else if (ask === ASK.up) socket.resume().on('end', () => socket.end('x'));
      else void write(socket).then(() => socket.end());
    });
  }).listen(APPLICATION_PORT, '127.0.0.1');
}

async function write(socket: NodeJS.WritableStream): Promise<void> {
  for (let left = pieces; left > 0; left -= 1) if (!socket.write(PIECE)) await once(socket, 'drain');
}

/** One connection. @returns bytes received */
async function transfer(port: number, ask: string): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  socket.write(ask);
  if (ask === ASK.up) await write(socket).then(() => socket.end());
  await once(socket, 'end');
  socket.end();
  return received;
}

const isServing = async (port: number): Promise<boolean> => {
  try {
    return (await transfer(port, ASK.echo)) === 1;
  } catch {
    return false;
  }
};

async function bulk(port: number, ask: string): Promise<number> {
  const received = await transfer(port, ask);
  const expected = ask === ASK.up ? 1 : pieces * PIECE.length;
  if (received !== expected) throw new Error(`port ${port}: ${received} bytes instead of ${expected}`);
  return (pieces * PIECE.length) / 1e6;
}

async function connections(port: number): Promise<number> {
  let left = Number(values.connections);
  const one = async (): Promise<void> => {
    while (left-- > 0) if ((await transfer(port, ASK.echo)) !== 1) throw new Error(`port ${port}: a connection failed`);
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return Number(values.connections);
}

async function main(directory: string, running: Pinned[]): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error('this benchmark needs Envoy (pip)');
  const entry = join(directory, 'agent.mjs');
  await buildAgent(ROOT, entry);
  writePortBundle(join(directory, 'bundle'), APPLICATION_PORT);
  const flags = ['--ports', `${AGENT_PORT}:${APPLICATION_PORT}`, '--app-protocols', `${APPLICATION_PORT}:tcp`];
  const rest = ['--admin-port', String(AGENT_PORT + 1), '--bundle-dir', join(directory, 'bundle')];
  const agent = await startPinned([...agentCommand(ROOT), entry, ...flags, ...rest], { core: PROXY_CORE });
  running.push(agent);
  const ports = { listenPort: ENVOY_PORT, adminPort: ENVOY_PORT + 1, upstreamPort: APPLICATION_PORT };
  const envoy = await startPinned(writeTcpEnvoyConfig(binary, directory, ports), { core: PROXY_CORE });
  running.push(envoy);
  for (const port of [AGENT_PORT, ENVOY_PORT]) await until(() => isServing(port), `port ${port} to serve`, PATIENCE_MS);
  const sides = [
    { name: 'agent', process: agent, port: AGENT_PORT },
    { name: 'Envoy', process: envoy, port: ENVOY_PORT },
  ] as const;
  const pairs = Number(values.pairs);
  await compareSides(sides, { parts: ['tcp', 'to the application'], unit: 'MB', pairs, run: (port) => bulk(port, ASK.up) });
  await compareSides(sides, { parts: ['tcp', 'to the client'], unit: 'MB', pairs, run: (port) => bulk(port, ASK.down) });
  await compareSides(sides, { parts: ['tcp', 'short connections'], unit: 'connection', pairs, run: connections });
}

const directory = mkdtempSync(join(tmpdir(), 'sallyport-tcp-'));
const application = startApplication();
const running: Pinned[] = [];
try {
  await main(directory, running);
} finally {
  for (const one of running) await one.stop();
  application.close();
  rmSync(directory, { recursive: true });
}
