/*
 * Request smuggling over real sockets: the proxy in front of node:http, which has an independent parser (llhttp). A sequence of
 * bytes must have one meaning: the upstream sees exactly the requests that were evaluated, with the same bodies, or none; bytes
 * after a refused request are never read.
 */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect } from 'chai';
import { type Stage, stage, stubFilterChain, talk } from '../agent/loopback.ts';
import { httpChain } from '../filters/chains.ts';
import { AMBIGUOUS, CHUNKED, HIDDEN, post } from './ambiguous-requests.ts';

/** Valid sequences with their meaning: the requests, with the length of each body. */
const PLAIN: Readonly<Record<string, readonly [bytes: string, requests: readonly string[]]>> = {
  'two requests in one write': [
    'GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    ['GET /1 0', 'GET /2 0'],
  ],
  'a body that looks like a request': [
    `${post(`Content-Length: ${HIDDEN.length}`, HIDDEN)}GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
    [`POST / ${HIDDEN.length}`, 'GET /2 0'],
  ],
  'chunks that look like requests': [
    `${post(CHUNKED, `${HIDDEN.length.toString(16)};x="y"\r\n${HIDDEN}\r\n0\r\nContent-Length: 5\r\n\r\n`)}GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
    [`POST / ${HIDDEN.length}`, 'GET /2 0'],
  ],
  'Connection names the framing': [post('Connection: close, content-length\r\nContent-Length: 3', 'abc'), ['POST / 3']],
  'a body on a method without one': ['GET /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc', ['GET /1 3']],
  'Expect with a body': [post('Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close', 'abc'), ['POST / 3']],
};

/** The head of a GOAWAY frame without debug data. */
// oxlint-disable-next-line no-control-regex -- bytes of a frame
const GOAWAY = /\0\0\x08\x07\0\0\0\0\0/;

describe('smuggling', () => {
  let app: Server;
  let front: Stage;
  let seen: string[] = [];
  const evaluated: string[] = [];
  const filterChain = httpChain((request, nowSeconds) => {
    evaluated.push(`${request.method} ${request.target}`);
    return stubFilterChain.evaluate(request, nowSeconds);
  });

  before(async () => {
    app = createServer({ insecureHTTPParser: false }, (request, response) => {
      let length = 0;
      request.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${length}`);
        response.end('ok');
      });
    });
    app.on('clientError', (_error, socket) => socket.destroy());
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    const { port } = app.address() as AddressInfo;
    front = await stage({
      filterChain,
      upstream: (socket) => {
        const relay = connect(port, '127.0.0.1');
        relay.on('error', () => socket.destroy());
        relay.on('close', () => socket.destroy());
        socket.on('close', () => relay.destroy());
        socket.pipe(relay).pipe(socket);
      },
    });
  });
  after(async () => {
    await front.stop();
    app.closeAllConnections();
    app.close();
  });
  beforeEach(() => {
    seen = [];
    evaluated.length = 0;
  });

  for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
    it(`${name}: refused, and the bytes after it are never read`, async () => {
      const text = await talk(front.port, bytes);

      expect(text).to.match(/^HTTP\/1\.1 (?:400|403|404|426|431|501) /);
      expect(text.match(/HTTP\/1\.1 /g), text).to.have.length(1);
      expect(seen).to.deep.equal([]);
      expect(evaluated.filter((request) => request.includes('hidden'))).to.deep.equal([]);
    });
  }

  it('HTTP/2 preface before a request of HTTP/1.1: the connection ends, and the request is never read', async () => {
    const text = await talk(front.port, `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`);

    // SETTINGS and GOAWAY, no response.
    expect(text).to.match(GOAWAY);
    expect(text).not.to.include('HTTP/1.1');
    expect([...seen, ...evaluated]).to.deep.equal([]);
  });

  for (const [name, [bytes, requests]] of Object.entries(PLAIN)) {
    it(`${name}: has one meaning`, async () => {
      const text = await talk(front.port, bytes);

      expect(seen).to.deep.equal(requests);
      expect(text.match(/HTTP\/1\.1 200 /g)).to.have.length(requests.length);
      expect(evaluated).to.deep.equal(requests.map((request) => request.replace(/ [0-9]+$/, '')));
    });
  }

  it('CVE-2024-23326: status 200 for an upgrade opens no tunnel', async () => {
    const upgrade = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    const text = await talk(front.port, `${upgrade}${HIDDEN}`, (received) => /HTTP\/1\.1 [0-9]{3}[^]*HTTP\/1\.1 [0-9]{3}/.test(received));

    expect(seen.filter((request) => request.includes('hidden'))).to.deep.equal([]);
    expect(text).not.to.match(/HTTP\/1\.1 101/);
  });

  it('Traefik #13543: no byte goes upstream before the verdict', async () => {
    const before = front.seen.length;
    const denied = `POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(5000)}`;
    await talk(front.port, denied, (received) => received.endsWith('RBAC: access denied'));

    expect(front.seen.slice(before).join('')).to.equal('');
    expect(seen).to.deep.equal([]);
  });
});
