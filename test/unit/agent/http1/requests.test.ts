/*
 * HTTP/1.1 requests over loopback sockets with a stub filter chain: what the upstream receives and what the client gets, byte for byte.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { httpChain } from '../../filters/chains.ts';
import { headOf, logOf, OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const DATE = 'date: Thu, 01 Jan 1970 00:00:00 GMT\r\n';
const SERVER = 'server: istio-envoy\r\n';
const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const has = (part: string) => (text: string) => text.includes(part);

describe('HTTP/1.1 request heads over sockets', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('forwards a request with the evaluated head and answers with the response of the upstream', async () => {
    const { port } = await start();
    const text = await talk(port, 'GET /ok?q=1 HTTP/1.1\r\nHost: a:80\r\nX-A:  b c \r\nConnection: keep-alive\r\n\r\n', has('ok'));

    expect(at.seen).to.deep.equal(['GET /ok?q=1 HTTP/1.1\r\nhost: a:80\r\nx-a: b c\r\nx-request-id: generated-id\r\n\r\n']);
    expect(text).to.equal(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${DATE}${SERVER}\r\nok`);
    expect(at.records).to.have.length(1);
    expect(at.records[0]).to.include({
      method: 'GET',
      status: 200,
      requestId: 'generated-id',
      destinationPort: 8080,
      sourceIp: '127.0.0.1',
      details: '',
    });
  });

  it('sends nothing upstream for a denied request and keeps the connection', async () => {
    const { port } = await start();
    const text = await talk(port, `GET /no HTTP/1.1\r\nHost: a\r\n\r\n${GET}`, has('ok'));
    const denied = `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}\r\nRBAC: access denied`;

    expect(text.startsWith(`${denied}HTTP/1.1 200 OK`)).to.equal(true);
    expect(at.seen).to.have.length(1);
    expect(at.seen[0]).to.match(/^GET \/ok /);
    expect(at.records.map((record) => [record.status, record.details])).to.deep.equal([
      [403, 'rbac_access_denied_matched_policy[none]'],
      [200, ''],
    ]);
  });

  it('closes after denying a request with a body, whose bytes never reach the upstream', async () => {
    const { port } = await start();
    const text = await talk(port, 'POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    expect(text).to.equal(
      `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}connection: close\r\n\r\nRBAC: access denied`,
    );
    expect(at.seen).to.deep.equal([]);
  });

  it('sends no body when it denies HEAD', async () => {
    const { port } = await start();
    const text = await talk(port, `HEAD /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(text).to.equal(
      `HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${DATE}${SERVER}connection: close\r\n\r\n`,
    );
  });

  const refused: readonly (readonly [string, string, number, string])[] = [
    ['garbage', '\x16\x03\x01garbage\r\n\r\n', 400, 'Bad Request'],
    ['garbage without an end', '\x16\x03\x01garbage', 400, 'Bad Request'],
    ['bare line feeds', 'GET /ok HTTP/1.1\nHost: a\n\n', 400, 'Bad Request'],
    ['HTTP/1.0', 'GET /ok HTTP/1.0\r\nHost: a\r\n\r\n', 426, 'Upgrade Required'],
    ['HTTP/0.9', 'GET /ok\r\n\r\n', 426, 'Upgrade Required'],
    [
      'length and chunks',
      'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'Bad Request',
    ],
    ['another coding', 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 501, 'Not Implemented'],
    ['an unknown method', 'method / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'Bad Request'],
    ['a huge head', `GET /ok HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(61 * 1024)}\r\n\r\n`, 431, 'Request Header Fields Too Large'],
    ['101 fields', `GET /ok HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(100)}\r\n`, 431, 'Request Header Fields Too Large'],
  ];
  for (const [name, bytes, status, body] of refused) {
    it(`refuses ${name} with ${status} and closes`, async () => {
      const { port } = await start();
      const text = await talk(port, bytes);
      expect(text).to.match(new RegExp(`^HTTP/1.1 ${status} ${body}\r\ncontent-length: ${body.length}\r\n`));
      expect(text).to.match(new RegExp(`connection: close\r\n\r\n${body}$`));
      expect(at.seen).to.deep.equal([]);
    });
  }

  it('accepts a head that arrives byte by byte, after empty lines', async () => {
    const { port } = await start();
    const client = new RawClient(port);
    await once(client.socket, 'connect');
    client.socket.setNoDelay(true);
    for (const character of `\r\n${GET}`) {
      client.send(character);
      await sleep(0);
    }
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200 OK/);
    client.socket.destroy();
    expect(at.seen).to.have.length(1);
  });

  it('ignores framing fields of the forwarded head', async () => {
    const { port } = await start({
      filterChain: httpChain((request) => ({
        kind: 'forward',
        head: { ...headOf(request), headers: ['content-length', '5', 'transfer-encoding', 'chunked', 'x', 'y'] },
        log: logOf('allow'),
      })),
    });
    await talk(port, GET, has('ok'));
    expect(at.seen[0]).to.equal('GET /ok HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n');
  });
});

describe('HTTP/1.1 request bodies over sockets', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('passes a body of known length in pieces', async () => {
    const { port } = await start({
      upstream: (socket) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.endsWith('abcdef')) socket.write(OK);
        });
      },
    });
    const client = new RawClient(port).send('PUT /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    await sleep(5);
    client.send('def');
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200/);
    client.socket.destroy();
    expect(at.seen[0]).to.match(/content-length: 6\r\n\r\nabcdef$/);
  });

  it('passes chunks on, drops extensions and trailers, and serves the next request', async () => {
    const { port } = await start({
      upstream: (socket) => {
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (text.endsWith('0\r\n\r\n') || /GET [^]*\r\n\r\n$/.test(text)) socket.write(OK);
        });
      },
    });
    const post = 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0;x=y\r\nX-Admin: yes\r\n\r\n';
    const text = await talk(port, post + GET, (all) => all.split('ok').length > 2);
    expect(text.match(/HTTP\/1.1 200/g)).to.have.length(2);
    expect(at.seen[0]).to.match(/transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /);
    expect(at.seen[0]).not.to.match(/x-admin/i);
  });

  it('refuses broken chunks and drops the upstream connection', async () => {
    const { port } = await start();
    const text = await talk(port, 'POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n');
    // The stub upstream responds immediately: either the refusal or its response comes first, and no second response follows.
    expect(text.match(/HTTP\/1.1/g)).to.have.length.at.most(1);
  });

  it('sends the 100 Continue of the application, once', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.on('data', (chunk) => socket.write(chunk.toString().endsWith('abc') ? OK : 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2))),
    });
    const head = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`;
    const client = new RawClient(port).send(head('/ok'));
    await client.until(has('100 Continue\r\n\r\n'));
    client.send('abc');
    const text = await client.until(has('ok'));
    expect(text).to.match(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
    expect(at.seen[0]).to.contain('\r\nexpect: 100-continue\r\n');
    client.send(head('/no'));
    const rest = (await client.untilClosed()).slice(text.length);
    expect(rest).to.match(/^HTTP\/1.1 403/);
  });
});
