/*
 * `node test/bench/tcp.ts [--pairs N] [--megabytes N] [--connections N]`: TCP connections through the agent and through Envoy's tcp_proxy, each with one ALLOW policy on
 * the port, in turns: bytes to the application, bytes to the client, and short connections. Prints CPU time with its ratio to Envoy. The
 * proxies share core 1; client and application share core 0.
 */
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { parseArgs } from 'node:util';
import { writePortBundle } from './support/demo-bundle.ts';
import { writeTcpEnvoyConfig } from './support/envoy.ts';
import { onProxyStage, type ProxyStage } from './support/proxy-stage.ts';
import { compareSides } from './support/side-by-side.ts';

const APPLICATION_PORT = 18_950;
const AGENT_PORT = 18_951;
const ENVOY_PORT = 18_953;
const PIECE = Buffer.alloc(64 * 1024, 'x');
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

async function isServing(port: number): Promise<void> {
  if ((await transfer(port, ASK.echo)) !== 1) throw new Error(`port ${port} does not answer`);
}

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

async function run(stage: ProxyStage): Promise<void> {
  writePortBundle(stage.bundle, APPLICATION_PORT);
  const agent = await stage.startAgent(AGENT_PORT, '--app-protocols', `${APPLICATION_PORT}:tcp`);
  const command = writeTcpEnvoyConfig(stage.envoy, stage.directory, stage.envoyPorts(ENVOY_PORT));
  const sides = [agent, await stage.start({ name: 'Envoy', port: ENVOY_PORT, command })] as const;
  const pairs = Number(values.pairs);
  await compareSides(sides, { parts: ['tcp', 'to the application'], unit: 'MB', pairs, run: (port) => bulk(port, ASK.up) });
  await compareSides(sides, { parts: ['tcp', 'to the client'], unit: 'MB', pairs, run: (port) => bulk(port, ASK.down) });
  await compareSides(sides, { parts: ['tcp', 'short connections'], unit: 'connection', pairs, run: connections });
}

const application = startApplication();
try {
  await onProxyStage({ name: 'tcp', application: APPLICATION_PORT, isServing, run });
} finally {
  application.close();
}
