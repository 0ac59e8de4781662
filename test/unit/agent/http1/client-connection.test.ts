/*
 * Connections to the application over loopback sockets: responses that come early, connections that die, retries, and what an
 * application must not send.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { httpChain } from '../../filters/chains.ts';
import { headOf, logOf, OK, RawClient, type Stage, type StageOptions, stage, talk } from '../loopback.ts';

const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';
const has = (part: string) => (text: string) => text.includes(part);
const BEFORE = 'upstream_reset_before_response_started';
const AFTER = 'upstream_reset_after_response_started';

let at: Stage;
async function start(options: StageOptions = {}): Promise<Stage> {
  at = await stage(options);
  return at;
}
const stop = async (): Promise<void> => {
  await at.stop();
};

/** Answers the first bytes of a request, then closes without reading more: the kernel resets the connection. */
function answerAndReset(answer: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => {
      socket.pause();
      socket.write(answer, 'latin1', () => socket.destroy());
    });
  };
}

describe('Http1ClientConnection: responses before the end of the request', () => {
  afterEach(stop);

  const text = 'x'.repeat(200);
  const answers: readonly (readonly [name: string, answer: string, end: RegExp])[] = [
    ['an empty response', 'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n', /\r\n\r\n$/],
    ['200 bytes', `HTTP/1.1 413 Too Large\r\nContent-Length: 200\r\n\r\n${text}`, /\r\n\r\nx{200}$/],
    [
      '200 bytes in a chunk',
      `HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n${text}\r\n0\r\n\r\n`,
      /\r\n\r\nc8\r\nx{200}\r\n0\r\n\r\n$/,
    ],
    ['200 bytes that end with the connection', `HTTP/1.1 413 Too Large\r\n\r\n${text}`, /\r\n\r\nc8\r\nx{200}\r\n0\r\n\r\n$/],
  ];
  for (const [name, answer, end] of answers) {
    for (const size of [200_000, 5_000_000]) {
      for (const chunked of [false, true]) {
        it(`delivers ${name} to a client that sends ${size} bytes${chunked ? ' in chunks' : ''}`, async () => {
          const { port, records } = await start({ upstream: answerAndReset(answer) });
          const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`;
          const body = chunked ? `${size.toString(16)}\r\n${'b'.repeat(size)}\r\n0\r\n\r\n` : 'b'.repeat(size);
          for (let round = 1; round <= 5; round += 1) {
            const request = `POST /ok HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`;
            const got = await talk(port, request, (all) => end.test(all));
            expect(got).to.match(/^HTTP\/1.1 413 /);
            expect(got).to.match(end);
            expect(records.at(-1)).to.include({ status: 413, details: '' });
          }
          expect(at.seen).to.have.length(5);
        });
      }
    }
  }
});

describe('Http1ClientConnection: a request that ends after its response', () => {
  afterEach(stop);

  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
  const requests: readonly (readonly [name: string, head: string])[] = [
    ['a length', `Content-Length: ${smuggled.length + 4}\r\n\r\nbody`],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n'],
  ];
  for (const [name, rest] of requests) {
    it(`leaves no connection to the next request within a body with ${name}`, async () => {
      const ended: Promise<unknown>[] = [];
      const { port } = await start({
        upstream: (socket) => {
          // It may end with a reset, which `once` of node:events would throw.
          ended.push(new Promise((resolve) => socket.once('close', resolve)));
          socket.on('data', () => socket.write(OK));
        },
      });
      const early = new RawClient(port).send(`POST /ok HTTP/1.1\r\nHost: a\r\n${rest}`);
      await early.until(has('\r\n\r\nok'));
      const next = new RawClient(port).send(GET);
      expect(await next.until(has('\r\n\r\nok'))).to.match(/^HTTP\/1.1 200 /);
      expect(at.seen).to.have.length(2);
      early.send(smuggled);
      early.socket.end();
      await ended[0];

      expect(at.seen[0]).to.match(/^POST [^]*body(\r\n)?$/);
      expect(at.seen[1]).to.match(/^GET \/ok HTTP/);
      expect(at.seen.join('')).not.to.include('smuggled');
      early.socket.destroy();
      next.socket.destroy();
    });
  }
});

describe('Http1ClientConnection: connections that die', () => {
  afterEach(stop);

  /** How often a POST has reached the application. */
  const posts = (): number => at.seen.join('').split('POST ').length - 1;

  /** A client and the application's side of a connection that has served one request. */
  async function kept(options: StageOptions = {}): Promise<{ client: RawClient; application: Socket }> {
    const sockets: Socket[] = [];
    const { upstream = (socket: Socket) => socket.on('data', () => socket.write(OK)) } = options;
    await start({
      ...options,
      upstream: (socket, nth) => {
        sockets.push(socket);
        upstream(socket, nth);
      },
    });
    const client = new RawClient(at.port).send(GET);
    await client.until(has('\r\n\r\nok'));
    client.text = '';
    return { client, application: sockets[0] as Socket };
  }

  it('sends a POST on a new connection when the application has closed the kept one', async () => {
    const { client, application } = await kept();
    application.end();
    await once(application, 'close');
    expect(await client.send(POST).until(has('ok'))).to.match(/^HTTP\/1.1 200 /);
    expect(posts()).to.equal(1);
    expect(at.seen).to.have.length(2);
    client.socket.destroy();
  });

  it('sends a POST on a new connection when nothing of it could be sent on the kept one', async () => {
    const { client, application } = await kept();
    // Both in one turn of the event loop, so that the request is read before the reset is noticed.
    client.send(POST);
    application.resetAndDestroy();
    expect(await client.until(has('ok'))).to.match(/^HTTP\/1.1 200 /);
    expect(posts()).to.equal(1);
    expect(at.seen).to.have.length(2);
    client.socket.destroy();
  });

  const phases: readonly (readonly [name: string, request: string, end: (socket: Socket) => void])[] = [
    ['a reset behind a POST', POST, (socket) => socket.resetAndDestroy()],
    ['a FIN behind a POST', POST, (socket) => socket.end()],
    ['a reset within the body of a POST', POST.replace('Content-Length: 4', 'Content-Length: 9'), (socket) => socket.resetAndDestroy()],
    [
      'a reset behind a POST without body',
      'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
      (socket) => socket.resetAndDestroy(),
    ],
  ];
  for (const [name, request, end] of phases) {
    for (const reused of [false, true]) {
      it(`sends a request once: ${name} on a ${reused ? 'kept' : 'new'} connection`, async () => {
        const upstream = (socket: Socket): void => {
          socket.on('data', (bytes: Buffer) => {
            if (bytes.toString('latin1').startsWith('POST')) end(socket);
            else socket.write(OK);
          });
        };
        const client = reused ? (await kept({ upstream })).client : new RawClient((await start({ upstream })).port);
        expect(await client.send(request).until(has('termination'))).to.match(/^HTTP\/1.1 503 /);
        expect(posts()).to.equal(1);
        expect(at.seen).to.have.length(1);
        expect(at.records.at(-1)).to.include({ status: 503, details: `${BEFORE}{connection_termination}` });
        client.socket.destroy();
      });
    }
  }

  it('sends a GET again when a kept connection ends without a response, and not when a new one does', async () => {
    const upstream = (socket: Socket, nth: number): void => {
      let count = 0;
      socket.on('data', () => {
        count += 1;
        if (count === 1 && nth === 0) socket.write(OK);
        else socket.destroy();
      });
    };
    const { client } = await kept({ upstream });
    expect(await client.send(GET).until(has('termination'))).to.match(/^HTTP\/1.1 503 /);
    expect(at.seen.map((seen) => seen.split('GET ').length - 1)).to.deep.equal([2, 1]);
    client.socket.destroy();
  });

  it('does not send a GET again behind an interim response', async () => {
    const upstream = (socket: Socket): void => {
      let count = 0;
      socket.on('data', () => {
        count += 1;
        if (count === 1) socket.write(OK);
        else socket.end('HTTP/1.1 103 Early Hints\r\n\r\n');
      });
    };
    const { client } = await kept({ upstream });
    expect(await client.send(GET).until(has('termination'))).to.match(/^HTTP\/1.1 103 [^]*HTTP\/1.1 503 /);
    expect(at.seen).to.have.length(1);
    client.socket.destroy();
  });

  it('drops a kept connection on which the application sends something', async () => {
    const { client, application } = await kept();
    application.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await once(application, 'close');
    const text = await client.send(GET).until(has('\r\n\r\nok'));
    expect(text).not.to.include('evil');
    expect(at.seen).to.have.length(2);
    client.socket.destroy();
  });
});

describe('Http1ClientConnection: connections that cannot be established', () => {
  let late: Server | undefined;
  afterEach(async () => {
    late?.close();
    late = undefined;
    await stop();
  });

  /** Forwards everything; `later` runs when the first attempt to connect has failed, before the second. */
  const chainThen = (later: () => void) =>
    httpChain((request) => {
      setTimeout(later, 1);
      return { kind: 'forward', head: headOf(request), log: logOf('allow', request.target) };
    });

  for (const [name, request] of [
    ['GET', GET],
    ['POST', POST],
    ['a POST of 200 KB', `POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'b'.repeat(200_000)}`],
  ] as const) {
    it(`waits for an application that starts: ${name}`, async () => {
      let seen = '';
      const { port, upstreamPort, records } = await start({
        noUpstream: true,
        filterChain: chainThen(() => {
          late = createServer((socket) => {
            socket.on('data', (bytes: Buffer) => {
              seen += bytes.toString('latin1');
              if (seen.length >= request.length) socket.end(OK);
            });
          }).listen(upstreamPort, '127.0.0.1');
        }),
      });
      expect(await talk(port, request, has('\r\n\r\nok'))).to.match(/^HTTP\/1.1 200 /);
      expect(seen.split(' /ok HTTP/1.1').length).to.equal(2);
      expect(seen.length).to.be.at.least(request.length);
      expect(records[0]).to.include({ status: 200, details: '' });
    });
  }

  it('answers 503 when the last attempt fails', async () => {
    const { port, records } = await start({ noUpstream: true });
    expect(await talk(port, POST, has('connection failure'))).to.match(/^HTTP\/1.1 503 /);
    expect(records[0]).to.include({ status: 503, details: `${BEFORE}{connection_failure}` });
  });

  it('gives up when the client does', async () => {
    const clients: RawClient[] = [];
    const { port, records } = await start({ noUpstream: true, filterChain: chainThen(() => clients[0]?.socket.resetAndDestroy()) });
    clients.push(new RawClient(port).send(GET));
    while (records.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(records[0]?.details).to.equal('downstream_remote_disconnect');
  });
});

describe('Http1ClientConnection: what an application sends', () => {
  afterEach(stop);

  const through = async (response: string, end = false): Promise<string> => {
    const { port } = await start({
      upstream: (socket) => {
        socket.once('data', () => {
          socket.write(response, 'latin1');
          if (end) socket.end();
        });
      },
    });
    return await talk(port, GET, (text) => /ok$|error$|0\r\n\r\n$/.test(text));
  };

  for (const [name, response] of [
    ['LF', 'HTTP/1.1 200 OK\nX: a\nContent-Length: 8\n\nab\r\n\r\nok'],
    ['folded lines', 'HTTP/1.1 200 OK\r\nX:\n a\r\nContent-Length: 8\r\n\r\nab\r\n\r\nok'],
  ] as const) {
    it(`passes a head on that has ${name}`, async () => {
      expect(await through(response)).to.match(/^HTTP\/1.1 200 OK\r\nx: a\r\ncontent-length: 8\r\n[^]*\r\n\r\nab\r\n\r\nok$/);
      expect(at.records[0]).to.include({ status: 200, details: '' });
    });
  }

  const refused: readonly (readonly [name: string, response: string, fault: string, end?: boolean])[] = [
    ['a line of another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'response_is_not_http'],
    ['bytes of another protocol', '\x15\x03\x01\0\x02\x02\x28', 'response_is_not_http'],
    ['a page without head', '<html>hello</html>\n', 'response_is_not_http', true],
    ['a head that is cut off', 'HTTP/1.1 200 OK\r\nX: ', 'response_head_cut_off', true],
    ['an endless head', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(300_000)}`, 'http1.headers_too_large'],
    ['a name with a space', 'HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n', 'response_header_line'],
    ['101 without an upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', 'response_upgrade_not_requested'],
  ];
  for (const [name, response, fault, end] of refused) {
    it(`answers 502 without waiting: ${name}`, async () => {
      expect(await through(response, end)).to.match(/^HTTP\/1.1 502 Bad Gateway\r\n[^]*protocol error$/);
      expect(at.records[0]).to.include({ status: 502, details: `${BEFORE}{protocol_error|${fault}}` });
    });
  }

  it('cuts a response off whose chunks are malformed', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n';
    expect(await through(`${head}zz\r\n`)).to.match(/^HTTP\/1.1 200 OK\r\n/);
    expect(at.records[0]?.details).to.equal(`${AFTER}{protocol_error|response_chunked_body}`);
  });

  it('removes chunk extensions', async () => {
    const text = await through('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\nT: u\r\n\r\n');
    expect(text).to.match(/\r\n\r\n2\r\nok\r\n0\r\n\r\n$/);
  });

  it('passes one interim response of each status on and drops those of unknown statuses', async () => {
    const interim = (status: number): string => `HTTP/1.1 ${status} X\r\n\r\n`;
    const text = await through([103, 102, 103, 199, 104, 102, 110].map(interim).join('').repeat(100) + OK);
    expect([...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)).to.deep.equal(['103', '102', '104', '200']);
  });
});
