/*
 * `node test/bench/tls.ts [--pairs N] [--handshakes N] [--megabytes N]`: mutual TLS 1.3 that the agent terminates (mode `strict`, one ALLOW policy on the principal) and
 * that Envoy terminates as Istio configures it, in turns: new connections with one request each, and large responses. Prints CPU time
 * with its ratio to Envoy. A bare server of `node:tls` stands next to the agent in the first: nothing that runs on Node.js is faster. The
 * proxies share core 1; client and application share core 0.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { issue, newAuthority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';
import { buildAgent } from './support/agent-build.ts';
import { writePrincipalBundle } from './support/demo-bundle.ts';
import { findEnvoy, writeMeshEnvoyConfig } from './support/envoy.ts';
import { type Pinned, startPinned } from './support/processes.ts';
import { compareSides, type Side } from './support/side-by-side.ts';

const ROOT = join(import.meta.dirname, '../..');
const BARE = join(import.meta.dirname, 'support/bare-tls.ts');
const PROXY_CORE = 1;
const LOAD_CORE = 0;
const APPLICATION_PORT = 18_960;
const AGENT_PORT = 18_961;
const ENVOY_PORT = 18_963;
const BARE_PORT = 18_965;
const PIECE = Buffer.alloc(256 * 1024, 'x');
const PATIENCE_MS = 30_000;
const PRINCIPAL = 'cluster.local/ns/bar/sa/sleep';

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    handshakes: { type: 'string', default: '300' },
    megabytes: { type: 'string', default: '128' },
  },
});
const pieces = Math.ceil((Number(values.megabytes) * 1e6) / PIECE.length);

function startApplication(): Server {
  return createServer((incoming, response) => {
    if (incoming.url !== '/down') {
      response.end('ok');
      return;
    }
    response.setHeader('content-length', pieces * PIECE.length);
    let left = pieces;
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        if (!response.write(PIECE)) {
          response.once('drain', write);
          return;
        }
      }
      response.end();
    };
    write();
  }).listen(APPLICATION_PORT, '127.0.0.1');
}

/** One connection with one request. @returns bytes received, the head included */
async function request(port: number, path: string, secureContext: SecureContext): Promise<number> {
  const protocols = ['istio-http/1.1', 'http/1.1'];
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', secureContext, ALPNProtocols: protocols, rejectUnauthorized: false });
  let received = 0;
  let status = '';
  socket.on('data', (bytes: Buffer) => {
    if (received === 0) status = bytes.toString('latin1', 9, 12);
    received += bytes.length;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n`);
  await once(socket, 'end');
  socket.end();
  if (status !== '200') throw new Error(`port ${port}: status "${status}"`);
  return received;
}

async function handshakes(port: number, context: SecureContext): Promise<number> {
  let left = Number(values.handshakes);
  const one = async (): Promise<void> => {
    while (left-- > 0) await request(port, '/', context);
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return Number(values.handshakes);
}

async function main(directory: string, running: Pinned[]): Promise<void> {
  spawnSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)]);
  const binary = await findEnvoy();
  if (binary === undefined) throw new Error('this benchmark needs Envoy (pip)');
  const authority = await newAuthority('mesh');
  const server = await issue(authority, { uris: ['spiffe://cluster.local/ns/foo/sa/httpbin'] });
  const client = await issue(authority, { uris: [`spiffe://${PRINCIPAL}`] });
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const tls = {
    certPath: file('tls.crt', server.certPem),
    keyPath: file('tls.key', server.keyPem),
    caPath: file('ca.crt', authority.certPem),
  };
  const context = createSecureContext({ cert: client.certPem, key: client.keyPem, ca: authority.certPem, minVersion: 'TLSv1.3' });
  const entry = join(directory, 'agent.mjs');
  await buildAgent(ROOT, entry);
  writePrincipalBundle(join(directory, 'bundle'), PRINCIPAL);
  const settings = JSON.stringify({ mode: 'strict', trustDomains: ['cluster.local'], directory });
  const flags = [
    '--ports',
    `${AGENT_PORT}:${APPLICATION_PORT}`,
    '--admin-port',
    String(AGENT_PORT + 1),
    '--tls',
    settings,
    '--access-log',
    'off',
  ];
  const start = async (command: readonly string[], port: number): Promise<Pinned> => {
    const started = await startPinned(command, { core: PROXY_CORE });
    running.push(started);
    const isServing = (): Promise<boolean> =>
      request(port, '/', context).then(
        () => true,
        () => false,
      );
    await until(isServing, `port ${port} to serve`, PATIENCE_MS);
    return started;
  };
  const agent = await start([...agentCommand(ROOT), entry, ...flags, '--bundle-dir', join(directory, 'bundle')], AGENT_PORT);
  const ports = { listenPort: ENVOY_PORT, adminPort: ENVOY_PORT + 1, upstreamPort: APPLICATION_PORT };
  const envoy = await start(
    writeMeshEnvoyConfig(binary, directory, { ...ports, tls, trustDomain: 'cluster.local', principals: [PRINCIPAL] }),
    ENVOY_PORT,
  );
  const bare = await start([...agentCommand(ROOT), BARE, String(BARE_PORT), tls.certPath, tls.keyPath, tls.caPath], BARE_PORT);
  const side = (name: string, process: Pinned, port: number): Side => ({ name, process, port });
  const pairs = Number(values.pairs);
  const run = (port: number): Promise<number> => handshakes(port, context);
  const theirs = side('Envoy', envoy, ENVOY_PORT);
  await compareSides([side('agent', agent, AGENT_PORT), theirs], { parts: ['tls', 'connections'], unit: 'connection', pairs, run });
  await compareSides([side('bare Node.js', bare, BARE_PORT), theirs], {
    parts: ['tls', 'connections of a bare server'],
    unit: 'connection',
    pairs,
    run,
  });
  const bytes = async (port: number): Promise<number> => {
    const received = await request(port, '/down', context);
    if (received < pieces * PIECE.length) throw new Error(`port ${port}: ${received} bytes`);
    return received / 1e6;
  };
  await compareSides([side('agent', agent, AGENT_PORT), theirs], { parts: ['tls', 'responses'], unit: 'MB', pairs, run: bytes });
}

const directory = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
const application = startApplication();
const running: Pinned[] = [];
try {
  await main(directory, running);
} finally {
  for (const one of running) await one.stop();
  application.close();
  application.closeAllConnections();
  rmSync(directory, { recursive: true });
}
