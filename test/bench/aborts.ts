/*
 * `node test/bench/aborts.ts [--connections N] [--phase N] [--source DIR]`: clients that end, reset or destroy their connection in every phase of a
 * request. Prints how many connections the agent and the application still have some time after the last of them.
 */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { buildAgent } from './support/agent-build.ts';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { TOKEN } from './support/demo-token.ts';
import { startPinned, statusOf } from './support/processes.ts';

const AGENT_CORE = 1;
const APPLICATION_PORT = 21_720;
const AGENT_PORT = 21_721;
const ADMIN_PORT = 21_722;
const AT_ONCE = 100;
const LOOKS_MS = [0, 500, 1000, 1500, 2000, 3000, 5000];

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '10000' }, phase: { type: 'string' }, source: { type: 'string', default: '.' } },
});
const directory = mkdtempSync(join(tmpdir(), 'sallyport-aborts-'));

const head = (method: string, path: string, fields = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${TOKEN}\r\n${fields}\r\n`;
const LARGE = 'x'.repeat(100_000);

/** What a client sends before it leaves, by phase. `/hang` is never answered, `/ok` is, `/large` with more than a client takes. */
const PHASES: readonly string[] = [
  '',
  'GET /o',
  head('GET', '/ok'),
  head('GET', '/hang'),
  head('GET', '/large'),
  head('GET', '/hang').repeat(2),
  head('GET', '/hang') + LARGE,
  head('POST', '/hang', 'Content-Length: 100000\r\n'),
  `${head('POST', '/hang', 'Content-Length: 200000\r\n')}${LARGE}`,
  `${head('POST', '/ok', 'Content-Length: 200000\r\n')}${LARGE}`,
  `${head('POST', '/hang', 'Transfer-Encoding: chunked\r\n')}5\r\nhel`,
  head('POST', '/hang', 'Content-Length: 5\r\nExpect: 100-continue\r\n'),
  'GET /denied HTTP/1.1\r\nHost: app\r\n\r\n',
  `POST /denied HTTP/1.1\r\nHost: app\r\nContent-Length: 200000\r\n\r\n${LARGE}`,
  'GET /denied HTTP/1.1\r\nHost: app\r\n\r\n'.repeat(2000),
];

const phases = values.phase === undefined ? PHASES : [PHASES[Number(values.phase)] ?? ''];

const WAYS: readonly ((socket: Socket) => unknown)[] = [
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.end(() => setImmediate(() => socket.destroy())),
];

async function abort(nth: number): Promise<void> {
  const socket = connect({ port: AGENT_PORT, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  // Every other client reads nothing.
  if (nth % 2 === 0) socket.resume();
  await once(socket, 'connect');
  socket.write(phases[nth % phases.length] ?? '');
  await sleep(nth % 7);
  const closed = new Promise((done) => socket.once('close', done));
  WAYS[Math.floor(nth / phases.length) % WAYS.length]?.(socket);
  await Promise.race([closed, sleep(1000)]);
  socket.destroy();
}

async function gauge(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ADMIN_PORT}/metrics`, { headers: { connection: 'close' } })).text();
  return Number(/^sallyport_agent_connections ([0-9]+)$/m.exec(text)?.[1]);
}

async function main(): Promise<void> {
  const busy = new Set<Socket>();
  const application = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => busy.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      if (text.includes(' /hang ')) busy.add(socket);
      else if (text.includes(' /ok ')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else if (text.includes(' /large ')) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n${'x'.repeat(20_000_000)}`);
    });
  });
  application.listen(APPLICATION_PORT, '127.0.0.1');
  const bundle = join(directory, 'bundle');
  writeDemoBundle(bundle);
  const entry = join(directory, 'agent.mjs');
  const source = resolve(values.source);
  await buildAgent(source, entry);
  const flags = ['--ports', `${AGENT_PORT}:${APPLICATION_PORT}`, '--admin-port', String(ADMIN_PORT), '--bundle-dir', bundle];
  const agent = await startPinned([...agentCommand(source), entry, ...flags], { core: AGENT_CORE });
  try {
    while ((await statusOf(`http://127.0.0.1:${ADMIN_PORT}/readyz`, {})) !== 200) await sleep(20);
    const before = readdirSync(`/proc/${agent.pid}/fd`).length;
    const total = Number(values.connections);
    let next = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < total) await abort(next++);
      }),
    );
    const endMs = performance.now();
    for (const ms of LOOKS_MS) {
      await sleep(Math.max(0, endMs + ms - performance.now()));
      const descriptors = readdirSync(`/proc/${agent.pid}/fd`).length - before;
      process.stdout.write(
        `after ${ms} ms: ${await gauge()} connections, ${descriptors} more descriptors, ${busy.size} requests at the application\n`,
      );
    }
  } finally {
    await agent.stop();
    for (const socket of busy) socket.destroy();
    application.close();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true });
}
process.exit();
