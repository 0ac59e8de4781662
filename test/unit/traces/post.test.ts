import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { createPoster } from '../../../src/traces/post.ts';

describe('POST of spans', () => {
  let server: Server;
  let handle: (request: IncomingMessage, response: ServerResponse) => void;
  let connections: number;
  const urlOf = (): URL => new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`);

  beforeEach(async () => {
    connections = 0;
    server = createServer((request, response) => handle(request, response));
    server.on('connection', () => {
      connections += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('sends JSON, reads the answer, and keeps the connection', async () => {
    const seen: string[] = [];
    handle = (request, response) => {
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => {
        seen.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`);
        response.writeHead(503, { 'retry-after': '7' }).end('later');
      });
    };
    const poster = createPoster(urlOf(), LIMITS);
    const answer = { kind: 'answered', status: 503, retryAfter: '7', body: 'later' };
    expect(await poster.post('{"a":"é"}', 5000)).to.deep.equal(answer);
    expect(await poster.post('{}', 5000)).to.deep.equal(answer);
    poster.close();
    expect(seen).to.deep.equal(['POST /v1/traces application/json {"a":"é"}', 'POST /v1/traces application/json {}']);
    expect(connections).to.equal(1);
  });

  it('fails at the deadline, also in the middle of an answer', async () => {
    const poster = createPoster(urlOf(), LIMITS);
    handle = () => undefined;
    expect(await poster.post('{}', 20)).to.deep.equal({ kind: 'failed', reason: 'no response in time' });
    handle = (_, response) => void response.writeHead(200, { 'content-length': '10' }).write('half');
    expect(await poster.post('{}', 20)).to.include({ kind: 'failed' });
    poster.close();
  });

  it('fails when it is closed, before and in the middle of an answer', async () => {
    for (const start of ['', 'half']) {
      const poster = createPoster(urlOf(), LIMITS);
      const asked = new Promise<void>((resolve) => {
        handle = (_, response) => {
          if (start !== '') response.writeHead(200, { 'content-length': '10' }).write(start);
          resolve();
        };
      });
      const posted = poster.post('{}', 60_000);
      await asked;
      poster.close();
      expect(await posted).to.include({ kind: 'failed' });
    }
  });

  it('fails when no server listens, with a reason', async () => {
    const url = urlOf();
    server.close();
    const poster = createPoster(url, LIMITS);
    const result = await poster.post('{}', 5000);
    expect(result.kind === 'failed' && result.reason).to.contain('ECONNREFUSED');
    poster.close();
  });

  it('keeps the start of a long answer only', async () => {
    handle = (_, response) => void response.end('x'.repeat(1_000_000));
    const poster = createPoster(urlOf(), LIMITS);
    const result = await poster.post('{}', 5000);
    expect(result.kind === 'answered' && result.body.length).to.equal(LIMITS.spanResponseBytes.value);
    poster.close();
  });
});
