/*
 * Server-sent events and long polls through a listener: each part reaches the other side before the next one is sent, whatever the two sides
 * speak, compressed or not, with and without Content-Length.
 */
import { once } from 'node:events';
import { createServer as createHttp1, request as requestHttp1, type Server } from 'node:http';
import { connect, createServer as createHttp2, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { constants, createGunzip, createGzip } from 'node:zlib';
import { expect } from 'chai';
import { type Stage, stage } from '../loopback.ts';

type Version = 'http1' | 'http2';

const EVENTS = 5;
const eventOf = (nth: number): string => `id: ${nth}\ndata: ${'x'.repeat(20)}\n\n`;
const LENGTH = Array.from({ length: EVENTS }, (_, nth) => eventOf(nth)).join('').length;

/** What the application does with the body of a response, and what the client has got. */
interface Exchange {
  /** Resolves when the head of a response has come. */
  readonly body: Promise<Readable>;
  readonly headers: () => Readonly<Record<string, unknown>>;
  /** The body of the request. */
  readonly upload: Writable;
}

interface Application {
  readonly port: number;
  /** Resolves with the next request and how to answer it. */
  readonly next: () => Promise<{ readonly request: Readable; readonly answer: (headers: Record<string, string>) => Writable }>;
  readonly stop: () => void;
}

async function applicationOf(version: Version): Promise<Application> {
  const waiting: ((value: Awaited<ReturnType<Application['next']>>) => void)[] = [];
  const came: Awaited<ReturnType<Application['next']>>[] = [];
  const put = (value: Awaited<ReturnType<Application['next']>>): void => {
    const wake = waiting.shift();
    if (wake === undefined) came.push(value);
    else wake(value);
  };
  let server: Server | Http2Server;
  if (version === 'http1') {
    server = createHttp1((request, response) => {
      put({
        request,
        answer: (headers) => {
          response.writeHead(200, headers);
          response.flushHeaders();
          return response;
        },
      });
    });
  } else {
    server = createHttp2();
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      put({
        request: stream,
        answer: (headers) => {
          stream.respond({ ':status': 200, ...headers });
          return stream;
        },
      });
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    next: () =>
      new Promise((resolve) => {
        const ready = came.shift();
        if (ready === undefined) waiting.push(resolve);
        else resolve(ready);
      }),
    stop: () => {
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
    },
  };
}

const ends: (() => void)[] = [];

function requestOf(version: Version, port: number, method: string): Exchange {
  let headers: Readonly<Record<string, unknown>> = {};
  if (version === 'http1') {
    const upload = requestHttp1({ port, host: '127.0.0.1', path: '/events', method, agent: false });
    upload.on('error', () => {});
    upload.flushHeaders();
    if (method === 'GET') upload.end();
    ends.push(() => upload.destroy());
    const body = once(upload, 'response').then(([response]) => {
      headers = (response as { headers: Readonly<Record<string, unknown>> }).headers;
      return response as Readable;
    });
    return { upload, body, headers: () => headers };
  }
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  ends.push(() => session.destroy());
  const stream = session.request({ ':path': '/events', ':method': method }, { endStream: method === 'GET' });
  stream.on('error', () => {});
  const body = once(stream, 'response').then(([head]) => {
    headers = head as Readonly<Record<string, unknown>>;
    return stream as Readable;
  });
  return { upload: stream, body, headers: () => headers };
}

/** Resolves when `stream` has delivered exactly `text` beyond what it had delivered before. */
function reader(stream: Readable): (text: string) => Promise<void> {
  let seen = '';
  let wake = (): void => {};
  stream.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1');
    wake();
  });
  return async (text) => {
    while (!seen.startsWith(text)) {
      expect(text.startsWith(seen)).to.equal(true);
      await new Promise<void>((resolve) => (wake = resolve));
    }
    seen = seen.slice(text.length);
    expect(seen).to.equal('');
  };
}

const PAIRS: readonly (readonly [client: Version, application: Version])[] = [
  ['http1', 'http1'],
  ['http2', 'http1'],
  ['http2', 'http2'],
  ['http1', 'http2'],
];

for (const [client, version] of PAIRS) {
  describe(`an agent between a client over ${client} and an application over ${version}`, () => {
    let application: Application;
    let at: Stage;
    beforeEach(async () => {
      application = await applicationOf(version);
      at = await stage({ application: application.port, appProtocol: version });
    });
    afterEach(async () => {
      for (const end of ends.splice(0)) end();
      await at.stop();
      application.stop();
    });

    for (const isCompressed of [false, true]) {
      for (const hasLength of [false, true]) {
        // The length of a compressed stream is not known before its end.
        if (isCompressed && hasLength) continue;
        const kind = `${isCompressed ? 'compressed' : 'plain'} events ${hasLength ? 'with' : 'without'} Content-Length`;
        it(`passes each of ${kind} on before the next is sent`, async () => {
          const exchange = requestOf(client, at.port, 'GET');
          const { answer } = await application.next();
          const response = answer({
            'content-type': 'text/event-stream',
            ...(isCompressed && { 'content-encoding': 'gzip' }),
            ...(hasLength && { 'content-length': String(LENGTH) }),
          });
          const body = await exchange.body;
          const ended = once(body, 'end');
          const gzip = createGzip();
          if (isCompressed) gzip.on('data', (chunk: Buffer) => response.write(chunk));
          const read = reader(isCompressed ? body.pipe(createGunzip()) : body);
          for (let nth = 0; nth < EVENTS; nth += 1) {
            if (isCompressed) {
              gzip.write(eventOf(nth));
              gzip.flush(constants.Z_SYNC_FLUSH);
            } else response.write(eventOf(nth));
            await read(eventOf(nth));
          }
          expect(exchange.headers()['content-length']).to.equal(hasLength ? String(LENGTH) : undefined);
          if (isCompressed) {
            gzip.end();
            await once(gzip, 'end');
          }
          response.end();
          await ended;
        });
      }
    }

    it('passes the head of a long poll on before its body, and the body when it comes', async () => {
      const exchange = requestOf(client, at.port, 'GET');
      const { answer } = await application.next();
      const response = answer({ 'content-type': 'application/json' });
      const read = reader(await exchange.body);
      response.end('{}');
      await read('{}');
    });

    it('passes each part of a request on before the next is sent, and answers between them', async () => {
      const exchange = requestOf(client, at.port, 'POST');
      const { request, answer } = await application.next();
      const received = reader(request);
      exchange.upload.write(eventOf(0));
      await received(eventOf(0));
      const response = answer({ 'content-type': 'text/plain' });
      const read = reader(await exchange.body);
      for (let nth = 1; nth < EVENTS; nth += 1) {
        response.write(eventOf(nth));
        await read(eventOf(nth));
        exchange.upload.write(eventOf(nth));
        await received(eventOf(nth));
      }
    });
  });
}
