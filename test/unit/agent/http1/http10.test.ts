/*
 * Clients that speak HTTP/1.0, where the agent is set to serve them. The expected bytes are those of Envoy 1.40 with `accept_http_10`, except
 * where a comment says otherwise.
 */
import { expect } from 'chai';
import { createFilterChain } from '../../../../src/filters/filter-chain.ts';
import { authorizer, custom, filterChainOf, programOf } from '../../filters/chains.ts';
import { ALLOW } from '../check-chain.ts';
import { RawClient, type Stage, type StageOptions, stage } from '../loopback.ts';

const TAIL = 'date: Thu, 01 Jan 1970 00:00:00 GMT\r\nserver: istio-envoy\r\n';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n';
const get = (path: string, ...fields: string[]): string =>
  `GET ${path} HTTP/1.0\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

describe('HTTP/1.0 clients', () => {
  let at: Stage;
  const start = async (options: StageOptions = {}): Promise<Stage> => {
    at = await stage({ acceptHttp10: true, ...options });
    return at;
  };
  const answering = (text: string, end = false): StageOptions => ({
    upstream: (socket) => {
      socket.on('data', () => {
        socket.write(text);
        if (end) socket.end();
      });
    },
  });
  afterEach(async () => {
    await at.stop();
  });
  /** Everything until the agent closes the connection. */
  const talk = (port: number, bytes: string): Promise<string> => new RawClient(port).send(bytes).untilClosed();

  it('gets 426 unless the agent is set to serve it', async () => {
    const { port, seen } = await start({ acceptHttp10: false });
    expect(await talk(port, get('/ok'))).to.match(/^HTTP\/1.1 426 /);
    expect(seen).to.deep.equal([]);
  });

  it('is served over HTTP/1.1 by the application, and the connection closes', async () => {
    const { port, seen } = await start();
    expect(await talk(port, get('/ok', 'Expect: 100-continue'))).to.equal(
      `HTTP/1.0 200 OK\r\ncontent-length: 2\r\n${TAIL}connection: close\r\n\r\nok`,
    );
    expect(seen[0]).to.match(/^GET \/ok HTTP\/1.1\r\nhost: a\r\n/);
  });

  it('keeps its connection when it asks for that, and may speak HTTP/1.1 next', async () => {
    const { port } = await start();
    const text = await talk(
      port,
      `${get('/ok', 'Connection: Keep-Alive')}GET /ok HTTP/1.1\r\nHost: a\r\n\r\n${get('/no', 'connection: keep-alive')}${get('/ok')}`,
    );
    expect(text.split('HTTP/').map((one) => `${one.split('\r\n')[0]} ${/connection: .*/.exec(one)?.[0]}`)).to.deep.equal([
      ' undefined',
      '1.0 200 OK connection: keep-alive',
      '1.1 200 OK undefined',
      '1.0 403 Forbidden connection: keep-alive',
      '1.0 200 OK connection: close',
    ]);
  });

  it('keeps its connection behind a response without body', async () => {
    const { port, seen } = await start(answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    const text = await talk(port, get('/ok', 'Connection: keep-alive') + get('/ok'));
    expect(text.match(/connection: .*/g)).to.deep.equal(['connection: keep-alive', 'connection: close']);
    expect(seen.join('').match(/GET/g)).to.have.length(2);
  });

  it('closes its connection when another field asks to keep it', async () => {
    const { port } = await start(answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    expect(await talk(port, get('/ok', 'User-Agent: keep-alive'))).to.include('connection: close\r\n');
  });

  it('is one of HTTP/1.0 for an external authorizer', async () => {
    const versions: string[] = [];
    const { port } = await start({
      filterChain: filterChainOf([custom('c', 'ext', {})], { mesh: { extensionProviders: [authorizer('ext')] } }),
      extAuthz: (check) => {
        if (check.request !== undefined) versions.push(check.version);
        return Promise.resolve(ALLOW);
      },
    });
    await talk(port, get('/ok'));
    expect(versions).to.deep.equal(['1.0']);
  });

  it('gets a reply of the agent as HTTP/1.0', async () => {
    const { port, seen } = await start();
    const text = await talk(port, get('/no'));
    expect(text).to.match(/^HTTP\/1.0 403 Forbidden\r\n[^]*connection: close\r\n/);
    expect(seen).to.deep.equal([]);
  });

  for (const fields of [[], ['Connection: keep-alive']]) {
    it(`gets no chunks, and the end of the connection ends the body: ${fields.join()}`, async () => {
      const { port } = await start(answering(CHUNKED));
      expect(await talk(port, get('/ok', ...fields))).to.equal(`HTTP/1.0 200 OK\r\n${TAIL}connection: close\r\n\r\nhelloabc`);
    });

    it(`gets a body that ends with the connection of the application as it is: ${fields.join()}`, async () => {
      const { port } = await start(answering('HTTP/1.1 200 OK\r\n\r\nuntil the end', true));
      expect(await talk(port, get('/ok', ...fields))).to.equal(`HTTP/1.0 200 OK\r\n${TAIL}connection: close\r\n\r\nuntil the end`);
    });
  }

  it('gets chunks that arrive byte by byte whole', async () => {
    const { port } = await start({
      upstream: (socket) => {
        socket.setNoDelay(true);
        socket.on('data', () => {
          const bytes = CHUNKED.split('');
          const next = (): void => {
            const byte = bytes.shift();
            if (byte !== undefined) socket.write(byte, () => setImmediate(next));
          };
          next();
        });
      },
    });
    expect(await talk(port, get('/ok'))).to.match(/\r\n\r\nhelloabc$/);
  });

  it('gets a truncated body when chunks are malformed, not their rest', async () => {
    const { port } = await start(answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\nrest'));
    expect(await talk(port, get('/ok'))).to.match(/\r\n\r\n(?:ok)?$/);
  });

  // Envoy passes interim responses, which HTTP/1.0 does not have (RFC 9110 section 15.2).
  it('gets no interim response', async () => {
    const { port } = await start(answering('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    expect(await talk(port, get('/ok'))).to.match(/^HTTP\/1.0 200 OK\r\n/);
  });

  it('sends a body of a known length', async () => {
    const { port, seen } = await start();
    const text = await talk(port, 'POST /ok HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    expect(text).to.match(/^HTTP\/1.0 200 OK\r\n/);
    expect(seen[0]).to.match(/content-length: 5\r\n[^]*hello$/);
  });

  it('gets 400 without Host', async () => {
    const { port, seen } = await start({ filterChain: createFilterChain(programOf([]), {}) });
    expect(await talk(port, 'GET /ok HTTP/1.0\r\n\r\n')).to.match(/^HTTP\/1.0 400 /);
    expect(seen).to.deep.equal([]);
  });

  // Envoy serves all of these, although HTTP/1.0 has neither chunks nor upgrades: parsers disagree about them.
  for (const [name, bytes] of [
    ['chunks', 'POST /ok HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['an upgrade', get('/ok', 'Connection: upgrade', 'Upgrade: websocket')],
    ['a tunnel', 'CONNECT a:80 HTTP/1.0\r\nHost: a\r\n\r\n'],
    ['version 2.0', 'GET /ok HTTP/2.0\r\nHost: a\r\n\r\n'],
    ['version 1.2', 'GET /ok HTTP/1.2\r\nHost: a\r\n\r\n'],
    ['version 0.9', 'GET /ok HTTP/0.9\r\nHost: a\r\n\r\n'],
    ['no version', 'GET /ok\r\n\r\n'],
  ] as const) {
    it(`gets 426 for ${name}`, async () => {
      const { port, seen } = await start();
      expect(await talk(port, bytes)).to.match(/^HTTP\/1.1 426 /);
      expect(seen).to.deep.equal([]);
    });
  }
});
