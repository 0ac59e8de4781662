/*
 * `node test/bench/streams.ts [--pairs N] [--megabytes N] [--streams N]`: gRPC streams of 1 MB messages through the agent and through Envoy, HTTP/2 on both sides,
 * with the JWT task's policies and a cached token, in turns: to the application and to the client. Prints CPU time with its ratio to Envoy, then the resident
 * memory of both while 1,000 streams are open. The proxies share core 1; client and application share core 0.
 */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { writeDemoBundle } from './support/demo-bundle.ts';
import { ISSUER, JWKS, TOKEN } from './support/demo-token.ts';
import { writeGrpcEnvoyConfig } from './support/envoy.ts';
import { onProxyStage, type ProxyStage } from './support/proxy-stage.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';
import { compareSides, type Side } from './support/side-by-side.ts';

const APPLICATION_PORT = 18_970;
const AGENT_PORT = 18_971;
const ENVOY_PORT = 18_973;
/** A gRPC message of 1 MB with its prefix. */
const MESSAGE = Buffer.alloc(5 + 1e6, 'x');
MESSAGE.writeUInt8(0, 0);
MESSAGE.writeUInt32BE(1e6, 1);
const WINDOW = 16 * 1024 * 1024;
const CALL = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${TOKEN}` } as const;
const STREAMS_OF_A_CONNECTION = 100;

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    megabytes: { type: 'string', default: '64' },
    streams: { type: 'string', default: '1000' },
  },
});
const messages = Number(values.megabytes);

function startApplication(): Http2Server {
  const server = createServer({ settings: { initialWindowSize: WINDOW, maxConcurrentStreams: 1000 } });
  server.on('session', (session) => session.setLocalWindowSize(WINDOW));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    void serve(stream, String(headers[':path']));
  });
  return server.listen(APPLICATION_PORT, '127.0.0.1');
}

async function serve(stream: ServerHttp2Stream, path: string): Promise<void> {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  if (path === '/down') await write(stream);
  else if (path !== '/open') await read(stream);
  if (path === '/open') stream.write(MESSAGE.subarray(0, 16));
  else stream.end();
}

async function write(stream: Writable): Promise<void> {
  for (let left = messages; left > 0; left -= 1) if (!stream.write(MESSAGE)) await once(stream, 'drain');
}

async function read(stream: Readable): Promise<number> {
  let received = 0;
  for await (const bytes of stream as AsyncIterable<Buffer>) received += bytes.length;
  return received;
}

async function open(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: WINDOW } });
  await once(session, 'connect');
  session.setLocalWindowSize(WINDOW);
  return session;
}

/** One call. @returns megabytes */
async function call(port: number, path: '/up' | '/down'): Promise<number> {
  const session = await open(port);
  const stream = session.request({ ...CALL, ':path': path });
  const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
  const sent = path === '/up' ? write(stream).then(() => stream.end()) : stream.end();
  const received = await read(stream);
  await sent;
  const [{ 'grpc-status': status }] = await trailers;
  session.close();
  if (status !== '0' || (path === '/down' && received !== messages * MESSAGE.length))
    throw new Error(`port ${port}: ${path} ${status}, ${received} bytes`);
  return messages;
}

/** Opens streams that stay open, and reads the proxy's resident memory. */
async function memoryOf({ process, port }: Side): Promise<number> {
  const sessions: ClientHttp2Session[] = [];
  const streams: Promise<unknown>[] = [];
  for (let left = Number(values.streams); left > 0; left -= STREAMS_OF_A_CONNECTION) {
    const session = await open(port);
    sessions.push(session);
    for (let nth = 0; nth < Math.min(left, STREAMS_OF_A_CONNECTION); nth += 1) {
      const stream: ClientHttp2Stream = session.request({ ...CALL, ':path': '/open' });
      stream.on('error', () => {});
      stream.write(MESSAGE.subarray(0, 16));
      streams.push(once(stream, 'data'));
    }
  }
  await Promise.all(streams);
  const memory = process.rssMiB();
  for (const session of sessions) session.destroy();
  return memory;
}

async function run(stage: ProxyStage): Promise<void> {
  writeDemoBundle(stage.bundle);
  const agent = await stage.startAgent(AGENT_PORT, '--app-protocols', `${APPLICATION_PORT}:http2`);
  const demo = { ...stage.envoyPorts(ENVOY_PORT), jwks: JWKS, issuer: ISSUER, jwtCache: true, subject: ISSUER };
  const command = writeGrpcEnvoyConfig(stage.envoy, stage.directory, demo);
  const sides = [agent, await stage.start({ name: 'Envoy', port: ENVOY_PORT, command })] as const;
  const [ours, theirs] = [await memoryOf(sides[0]), await memoryOf(sides[1])];
  process.stdout.write(
    `${values.streams} open streams: RSS MiB agent ${ours.toFixed(1)}, Envoy ${theirs.toFixed(1)}, ratio ${(ours / theirs).toFixed(2)}\n`,
  );
  reportRatio(['streams', 'open', 'RSS to Envoy'], ours / theirs, TOLERANCE.memory);
  const pairs = Number(values.pairs);
  await compareSides(sides, { parts: ['streams', 'to the application'], unit: 'MB', pairs, run: (port) => call(port, '/up') });
  await compareSides(sides, { parts: ['streams', 'to the client'], unit: 'MB', pairs, run: (port) => call(port, '/down') });
}

const application = startApplication();
try {
  await onProxyStage({ name: 'streams', application: APPLICATION_PORT, isServing: (port) => call(port, '/up'), run });
} finally {
  application.close();
}
