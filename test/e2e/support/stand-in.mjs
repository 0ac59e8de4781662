/*
 * Stands in for the programs of workloads, without dependencies: `serve` listens on PORTS (JSON: port to `http`, `https`, `grpc`, `tcp`, `greets` or `udp`)
 * on HOST (default all addresses), with EXITS it ends after a moment instead; `ask TARGETS` (JSON: `[address, port, protocol]`) connects to other stand-ins and prints what each answered as JSON.
 */
import { createSocket } from 'node:dgram';
import { createServer as createHttp, get } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { createServer as createHttps, get as getSecurely } from 'node:https';
import { connect, createServer } from 'node:net';

/** Longer than an agent waits for the first bytes of a client that is denied on a port of unknown protocol. */
const PATIENCE_MS = 15_000;
/** A gRPC message with `status: SERVING`, and an empty one. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
const EMPTY = Buffer.from([0, 0, 0, 0, 0]);
const CHECK = '/grpc.health.v1.Health/Check';

/** @type {Record<string, (port: number, host: string | undefined) => void>} */
const SERVERS = {
  http: (port, host) => createHttp((_, response) => response.end('ok')).listen(port, host),
  https: (port, host) =>
    createHttps({ cert: process.env.TLS_CERT, key: process.env.TLS_KEY }, (_, response) => response.end('ok')).listen(port, host),
  grpc: (port, host) =>
    createHttp2()
      .on('stream', (stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(SERVING);
      })
      .listen(port, host),
  tcp: (port, host) => createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(port, host),
  greets: (port, host) => createServer((socket) => socket.on('error', () => {}).end('220 welcome\r\n')).listen(port, host),
  udp: (port) => void createSocket('udp4').bind(port),
};

/** @type {Record<string, (host: string, port: number, done: (answer: string) => void) => void>} */
const CLIENTS = {
  http: (host, port, done) =>
    get({ host, port, agent: false }, (response) => done(String(response.resume().statusCode))).on('error', failed(done)),
  https: (host, port, done) =>
    getSecurely({ host, port, agent: false, rejectUnauthorized: false }, (response) => done(String(response.resume().statusCode))).on(
      'error',
      failed(done),
    ),
  grpc: (host, port, done) => {
    const session = connectHttp2(`http://${host}:${port}`).on('error', failed(done));
    const call = session.request({ ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc', te: 'trailers' });
    const end = (/** @type {Record<string, unknown>} */ fields) => {
      if (fields['grpc-status'] === undefined) return;
      done(`grpc-status ${Number(fields['grpc-status'])}`);
      session.destroy();
    };
    call.on('error', failed(done)).on('response', end).on('trailers', end).resume().end(EMPTY);
  },
  tcp: (host, port, done) => {
    const socket = connect({ host, port }).on('error', failed(done));
    socket.on('data', (bytes) => done(bytes.toString('latin1', 1))).on('end', () => done('closed'));
    // Letters could be the beginning of a request of HTTP.
    socket.write('\u0001echo');
  },
  greets: (host, port, done) => {
    const socket = connect({ host, port }).on('error', failed(done));
    socket.on('data', (bytes) => done(bytes.toString().slice(0, 3))).on('end', () => done('closed'));
  },
};

/** @param {(answer: string) => void} done */
function failed(done) {
  return (/** @type {NodeJS.ErrnoException} */ error) => done(error.code === 'ECONNREFUSED' ? 'refused' : 'closed');
}

/** @param {[string, number, string]} target @returns {Promise<string>} */
function ask([host, port, protocol]) {
  return new Promise((resolve) => {
    setTimeout(() => resolve('silent'), PATIENCE_MS).unref();
    CLIENTS[protocol]?.(host, port, resolve);
  });
}

const [role, targets = '[]'] = process.argv.slice(2);
if (role === 'ask') {
  process.stdout.write(`${JSON.stringify(await Promise.all(JSON.parse(targets).map(ask)))}\n`);
  process.exit();
} else if (process.env.EXITS === undefined) {
  for (const [port, protocol] of Object.entries(JSON.parse(process.env.PORTS ?? '{}'))) SERVERS[protocol]?.(Number(port), process.env.HOST);
  process.on('SIGTERM', () => process.exit());
  setInterval(() => {}, 60_000);
}
