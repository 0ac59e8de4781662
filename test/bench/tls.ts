/*
 * `node test/bench/tls.ts [--pairs N] [--handshakes N] [--megabytes N]`: mutual TLS 1.3 that the agent terminates (mode `strict`, one ALLOW policy on the principal) and
 * that Envoy terminates as Istio configures it, in turns: new connections with one request each, and large responses. Prints CPU time
 * with its ratio to Envoy. A bare server of `node:tls` stands next to the agent in the first: nothing that runs on Node.js is faster. The
 * proxies share core 1; client and application share core 0.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import { agentCommand } from '../support/agent-flags.ts';
import { issue, newAuthority } from '../support/certificates.ts';
import { writePrincipalBundle } from './support/demo-bundle.ts';
import { writeMeshEnvoyConfig } from './support/envoy.ts';
import { onProxyStage, type ProxyStage } from './support/proxy-stage.ts';
import { compareSides } from './support/side-by-side.ts';

const BARE = join(import.meta.dirname, 'support/bare-tls.ts');
const APPLICATION_PORT = 18_960;
const AGENT_PORT = 18_961;
const ENVOY_PORT = 18_963;
const BARE_PORT = 18_965;
const PIECE = Buffer.alloc(256 * 1024, 'x');
const PRINCIPAL = 'cluster.local/ns/bar/sa/sleep';

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    handshakes: { type: 'string', default: '300' },
    megabytes: { type: 'string', default: '128' },
  },
});
const pieces = Math.ceil((Number(values.megabytes) * 1e6) / PIECE.length);

const authority = await newAuthority('mesh');
const server = await issue(authority, { uris: ['spiffe://cluster.local/ns/foo/sa/httpbin'] });
const client = await issue(authority, { uris: [`spiffe://${PRINCIPAL}`] });
// The key exchange that Istio's proxies offer: with another one the two sides might not do the same work.
const secureContext = createSecureContext({
  cert: client.certPem,
  key: client.keyPem,
  ca: authority.certPem,
  minVersion: 'TLSv1.3',
  ecdhCurve: 'X25519',
});

function startApplication(): Server {
  return createServer((incoming, response) => {
    if (incoming.url !== '/down') {
      response.end('ok');
      return;
    }
    response.setHeader('content-length', pieces * PIECE.length);
    void pipeline(
      Array.from({ length: pieces }, () => PIECE),
      response,
    );
  }).listen(APPLICATION_PORT, '127.0.0.1');
}

/** One connection with one request. @returns bytes received, the head included */
async function request(port: number, path: string): Promise<number> {
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

async function handshakes(port: number): Promise<number> {
  let left = Number(values.handshakes);
  const one = async (): Promise<void> => {
    while (left-- > 0) await request(port, '/');
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return Number(values.handshakes);
}

/** One large response. @returns megabytes */
async function download(port: number): Promise<number> {
  const received = await request(port, '/down');
  if (received < pieces * PIECE.length) throw new Error(`port ${port}: ${received} bytes`);
  return received / 1e6;
}

async function run(stage: ProxyStage): Promise<void> {
  const { directory } = stage;
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const tls = {
    certPath: file('tls.crt', server.certPem),
    keyPath: file('tls.key', server.keyPem),
    caPath: file('ca.crt', authority.certPem),
  };
  writePrincipalBundle(stage.bundle, PRINCIPAL);
  const settings = JSON.stringify({ mode: 'strict', trustDomains: ['cluster.local'], directory });
  const agent = await stage.startAgent(AGENT_PORT, '--tls', settings, '--access-log', 'off');
  const mesh = { ...stage.envoyPorts(ENVOY_PORT), tls, trustDomain: 'cluster.local', principals: [PRINCIPAL] };
  const envoy = await stage.start({ name: 'Envoy', port: ENVOY_PORT, command: writeMeshEnvoyConfig(stage.envoy, directory, mesh) });
  const command = [...agentCommand(), BARE, String(BARE_PORT), tls.certPath, tls.keyPath, tls.caPath];
  const bare = await stage.start({ name: 'bare Node.js', port: BARE_PORT, command });
  const pairs = Number(values.pairs);
  await compareSides([agent, envoy], { parts: ['tls', 'connections'], unit: 'connection', pairs, run: handshakes });
  await compareSides([bare, envoy], { parts: ['tls', 'connections of a bare server'], unit: 'connection', pairs, run: handshakes });
  await compareSides([agent, envoy], { parts: ['tls', 'responses'], unit: 'MB', pairs, run: download });
}

const application = startApplication();
try {
  await onProxyStage({ name: 'tls', application: APPLICATION_PORT, isServing: (port) => request(port, '/'), run });
} finally {
  application.close();
  application.closeAllConnections();
}
