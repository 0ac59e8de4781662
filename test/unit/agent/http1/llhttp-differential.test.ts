/*
 * The request parser beside node:http's (llhttp) on a corpus of valid and hostile bytes over real sockets: what the proxy
 * lets through, a strict second parser must read as the very same request, and the upstream must see one request only.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { parseRequestHead } from '../../../../src/agent/http1/request-head.ts';
import { talk } from '../loopback.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
}

/** A small generator with a fixed seed: the corpus is the same in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const BASES = [
  'GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n',
  'PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n',
  'DELETE http://h/a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nX-A: 1\r\nX-A: 2\r\n\r\n',
];
const PIECES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '\0',
  '\x0b',
  '\x7f',
  '\x80',
  ',',
  ';',
  'x',
  '0',
  'HTTP/1.1',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: x\r\n',
  '\r\n\r\n',
];

/** Heads that differ from a valid one in one to three places. */
function corpus(count: number): string[] {
  const random = generator(20_260_827);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const heads = new Set<string>(BASES);
  while (heads.size < count) {
    let text = pick(BASES);
    for (let edits = 1 + Math.floor(random() * 3); edits > 0; edits -= 1) {
      const at = Math.floor(random() * text.length);
      const removed = random() < 0.4 ? 1 + Math.floor(random() * 3) : 0;
      text = text.slice(0, at) + (random() < 0.7 ? pick(PIECES) : '') + text.slice(at + removed);
    }
    heads.add(text);
  }
  return [...heads];
}

describe('request parser beside llhttp', () => {
  let server: Server;
  let port = 0;
  let seen: Seen[] = [];
  before(async () => {
    server = createServer(
      { insecureHTTPParser: false, requireHostHeader: false, keepAliveTimeout: 1 },
      (request: IncomingMessage, response) => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.rawHeaders });
        response.shouldKeepAlive = false;
        response.end('seen');
        request.resume();
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  it('lets nothing through that llhttp refuses or reads otherwise', async function () {
    this.timeout(20_000);
    let taken = 0;
    let refused = 0;
    for (const head of corpus(600)) {
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const request = parseRequestHead(head.slice(0, end + 4));
      if (request.kind === 'fault') {
        refused += 1;
        continue;
      }
      taken += 1;
      seen = [];
      const answer = await talk(port, head.slice(0, end + 4), (text) => /\r\n\r\n/.test(text));
      expect(answer, JSON.stringify(head)).to.match(/^HTTP\/1.1 200/);
      expect(seen, JSON.stringify(head)).to.deep.equal([{ method: request.method, url: request.target, headers: request.headers }]);
    }
    expect(taken).to.be.greaterThan(50);
    expect(refused).to.be.greaterThan(50);
  });
});
