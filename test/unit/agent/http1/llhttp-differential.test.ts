/*
 * Compares the request parser with that of node:http (llhttp) on valid and hostile bytes over real sockets: a strict second parser must read
 * what the proxy lets through as the same request, and the upstream must see one request only.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { parseRequestHead } from '../../../../src/agent/http1/request-head.ts';
import { hostileHeads } from '../hostile-heads.ts';
import { talk } from '../loopback.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
}

describe('request parser compared with llhttp', () => {
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

  it('lets nothing through that llhttp refuses or reads differently', async function () {
    this.timeout(120_000);
    let taken = 0;
    let refused = 0;
    for (const head of hostileHeads(600)) {
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const request = parseRequestHead(head.slice(0, end + 4));
      if (request.kind === 'reply') {
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
