/*
 * HTTP/1.1 responses over loopback sockets: framing, upgrades, and what an upstream must not send.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { httpChain } from '../../filters/chains.ts';
import { headOf, logOf, OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const DATE = 'date: Thu, 01 Jan 1970 00:00:00 GMT\r\n';
const SERVER = 'server: istio-envoy\r\n';
const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const has = (part: string) => (text: string) => text.includes(part);

describe('HTTP/1.1 responses over sockets', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('sends a body that ends with the connection as chunks', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello');
          setTimeout(() => socket.end(' world'), 5);
        });
      },
    });
    const text = await talk(port, GET, has('0\r\n\r\n'));
    expect(text).to.equal(
      `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n${DATE}${SERVER}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
    );
  });

  it('passes chunked responses on without hop-by-hop fields and trailers', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nDate: today\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: u\r\n\r\n',
          ),
        );
      },
    });
    const text = await talk(port, GET, has('0\r\n\r\n'));
    expect(text).to.equal(`HTTP/1.1 200 Fine\r\ndate: today\r\n${SERVER}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`);
  });

  for (const [name, method, response] of [
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n'],
  ] as const) {
    it(`sends no body: ${name}`, async () => {
      const { port } = await start({ upstream: (socket) => socket.on('data', () => socket.write(response)) });
      const request = `${method} /ok HTTP/1.1\r\nHost: a\r\n\r\n`;
      const text = await talk(port, request + request, (all) => all.split('\r\n\r\n').length === 3);
      expect(text.match(/HTTP\/1.1/g)).to.have.length(2);
      expect(at.seen).to.have.length(1);
    });
  }

  it('passes interim responses on', async () => {
    const { port } = await start({
      upstream: (socket) => socket.once('data', () => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`)),
    });
    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });

  it('passes a 100 on that the client did not ask for, as Envoy does', async () => {
    const { port } = await start({ upstream: (socket) => socket.once('data', () => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`)) });
    expect(await talk(port, GET, has('ok'))).to.match(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  });

  it('says that the connection closes when the response starts before the end of the body', async () => {
    const { port } = await start({ upstream: (socket) => socket.once('data', () => socket.write(OK)) });
    const text = await talk(port, 'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc', has('ok'));
    expect(text).to.match(/^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n\r\nok$/);
  });

  for (const [name, field] of [
    ['no protocol', ''],
    ['another protocol', 'Upgrade: h2c\r\n'],
  ] as const) {
    it(`answers 502 to a 101 that switches to ${name} instead of the one that was asked for`, async () => {
      const { port } = await start({
        upstream: (socket) => socket.once('data', () => socket.write(`HTTP/1.1 101 No\r\nConnection: upgrade\r\n${field}\r\n`)),
      });
      const request = 'GET /ok HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
      expect(await talk(port, request, has('protocol error'))).to.match(/^HTTP\/1.1 502 /);
      expect(at.records[0]?.details).to.contain('response_upgrade_not_requested');
    });
  }

  it('answers 502 to a 101 without an upgrade and to garbage', async () => {
    const { port } = await start({
      upstream: (socket, nth) => socket.once('data', () => socket.write(nth === 0 ? 'HTTP/1.1 101 No\r\n\r\n' : 'SSH-2.0-x\r\n\r\n')),
    });
    expect(await talk(port, GET, has('protocol error'))).to.match(/^HTTP\/1.1 502 Bad Gateway/);
    expect(await talk(port, GET, has('protocol error'))).to.match(/^HTTP\/1.1 502 Bad Gateway/);
  });

  it('does not pass bytes behind a response to the next request', async () => {
    const { port } = await start({
      upstream: (socket, nth) =>
        socket.on('data', () => socket.write(nth === 0 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil` : OK)),
    });
    const text = await talk(port, GET + GET, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text).not.to.match(/evil/);
    expect(at.seen).to.have.length(2);
  });

  it('answers 503 when the upstream goes away before the response', async () => {
    const { port } = await start({ upstream: (socket) => socket.on('data', () => socket.destroy()) });
    const text = await talk(port, 'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', has('termination'));
    expect(text).to.match(/^HTTP\/1.1 503 /);
    expect(at.seen).to.have.length(1);
    expect(at.seen[0]).to.match(/content-length: 0\r\n\r\n$/);
  });
});

describe('HTTP/1.1 upgrades over sockets', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage(options);
    return at;
  };
  afterEach(async () => {
    await at.stop();
  });

  it('tunnels a websocket after 101 and keeps early bytes until then', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () => {
          setTimeout(
            () =>
              socket.write(
                'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhi',
              ),
            10,
          );
          socket.on('data', (chunk: Buffer) => socket.write(`echo:${chunk.toString()}`));
        });
      },
    });
    const client = new RawClient(port).send('GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly');
    await client.until(has('echo:early'));
    client.send('more');
    const text = await client.until(has('echo:more'));
    expect(text).to.equal(
      'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhiecho:earlyecho:more',
    );
    expect(at.seen[0]).to.match(/connection: upgrade\r\nupgrade: websocket\r\n\r\nearlymore$/);
    client.socket.end();
    await client.untilClosed();
    await sleep(5);
    expect(at.records[0]).to.include({ status: 101, details: '' });
  });

  it('does not treat 200 as a switched protocol', async () => {
    const { port } = await start();
    const text = await talk(port, `GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${GET}`);
    expect(text).to.match(/^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n\r\nok$/);
    expect(at.seen.join('')).not.to.match(/GET[^]*GET/);
  });

  for (const [framing, body] of [
    ['Content-Length: 5', 'abcde'],
    ['Transfer-Encoding: chunked', '5\r\nabcde\r\n0\r\n\r\n'],
  ]) {
    it(`refuses an upgrade with a body: ${framing}`, async () => {
      const { port } = await start();
      const text = await talk(
        port,
        `POST /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${framing}\r\n\r\n${body}${GET}`,
      );
      expect(text).to.match(/^HTTP\/1.1 400 Bad Request\r\n[^]*connection: close\r\n\r\nBad Request$/);
      expect(at.seen).to.deep.equal([]);
      expect(at.records.map((record) => record.details)).to.deep.equal(['upgrade_with_body']);
    });
  }

  it('passes a body on that comes with an upgrade to h2c, which is ignored', async () => {
    const { port } = await start({
      filterChain: httpChain((request) => ({ kind: 'forward', head: { ...headOf(request), upgrade: '' }, log: logOf('allow') })),
    });
    const head = 'POST /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n';
    await talk(port, `${head}abcde`, has('ok'));
    expect(at.seen[0]).to.match(/abcde$/);
  });

  it('reads no request behind a denied upgrade', async () => {
    const { port } = await start();
    const text = await talk(port, `GET /no HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${GET}`);
    expect(text).to.match(/^HTTP\/1.1 403 Forbidden\r\n[^]*connection: close\r\n\r\nRBAC: access denied$/);
    expect(at.seen).to.deep.equal([]);
  });
});
