/*
 * Clients that go away, read nothing, or keep sending, over loopback sockets.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import { INPUT_BUDGET } from '../../../../src/agent/net/paused-input.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { chainWithChecks } from '../check-chain.ts';
import { OK, RawClient, type Stage, type StageOptions, stage, talk, until } from '../loopback.ts';

const GET = 'GET /ok HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (path: string, length: number, fields = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${length}\r\n\r\n`;
const has = (part: string) => (text: string) => text.includes(part);
const UPGRADE = 'GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

let at: Stage;
async function start(options: StageOptions = {}): Promise<Stage> {
  at = await stage(options);
  return at;
}
/** An application that shows its connection, and when it is over. */
class Application {
  readonly sockets: Socket[] = [];
  over = 0;
  readonly #serve: (socket: Socket) => void;

  constructor(serve: (socket: Socket) => void = () => {}) {
    this.#serve = serve;
  }

  readonly accept = (socket: Socket): void => {
    this.sockets.push(socket);
    socket.on('end', () => {
      this.over += 1;
    });
    socket.on('error', () => {
      this.over += 1;
    });
    this.#serve(socket);
  };
}

const leaving = {
  'ends its side': (socket: Socket) => socket.end(),
  'resets the connection': (socket: Socket) => socket.resetAndDestroy(),
};
const answerOnce = (text: string) => (socket: Socket) => void socket.once('data', () => socket.write(text));

describe('HTTP/1.1 clients that leave', () => {
  afterEach(async () => {
    await at.stop();
  });

  const phases: readonly (readonly [string, string, (socket: Socket) => void, (seen: string, text: string) => boolean])[] = [
    ['before the response', GET, () => {}, (seen) => seen.endsWith('\r\n\r\n')],
    ['before the response, with the next request sent', GET + GET, () => {}, (seen) => seen.endsWith('\r\n\r\n')],
    ['within the request body', `${post('/ok', 9)}abc`, () => {}, (seen) => seen.endsWith('abc')],
    ['within the response', GET, answerOnce('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'), (_, text) => text.endsWith('abc')],
    ['within a switched protocol', UPGRADE, answerOnce(`${SWITCH}hi`), (_, text) => text.endsWith('hi')],
  ];
  for (const [phase, request, serve, reached] of phases)
    for (const [how, leave] of Object.entries(leaving))
      it(`ends the request at the application when the client ${how} ${phase}`, async () => {
        const application = new Application(serve);
        const { port } = await start({ upstream: application.accept });
        const client = new RawClient(port).send(request);
        await until(() => reached(at.seen[0] ?? '', client.text));
        leave(client.socket);
        await until(() => application.over > 0);
        client.socket.destroy();
        application.sockets[0]?.end();
        await until(() => at.connections() === 0 || at.listener.sweep(performance.now() + 2000) !== undefined);
        expect(at.records).to.have.length(1);
      });

  it('ends the request when the client resets a connection that is not read', async () => {
    const application = new Application((socket) => socket.removeAllListeners('data').pause());
    const { port } = await start({ upstream: application.accept });
    const client = new RawClient(port).send(post('/ok', 64 * 1024 * 1024));
    for (let wrote = true; wrote; await sleep(20)) {
      const before = client.socket.bytesWritten - client.socket.writableLength;
      if (client.socket.writableLength < 1024 * 1024) client.socket.write(Buffer.alloc(4 * 1024 * 1024));
      await sleep(20);
      wrote = client.socket.bytesWritten - client.socket.writableLength > before;
    }
    client.socket.resetAndDestroy();
    await until(() => at.connections() === 0);
    expect(at.records[0]?.details).to.equal('downstream_remote_disconnect');
  });

  it('ends the request when the client has sent much more behind it and ends its side', async () => {
    const application = new Application();
    const { port } = await start({ upstream: application.accept });
    const client = new RawClient(port).send(GET + GET.repeat(3000));
    await until(() => (at.seen[0] ?? '') !== '');
    client.socket.end();
    await until(() => application.over > 0);
    client.socket.destroy();
    application.sockets[0]?.end();
    await until(() => at.connections() === 0);
    expect(at.records).to.have.length(1);
  });

  it('ends the request when the client resets a connection whose response it does not read', async () => {
    const application = new Application((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
        socket.write(Buffer.alloc(32 * 1024 * 1024));
      }),
    );
    const { port } = await start({ upstream: application.accept });
    const client = new RawClient(port);
    client.socket.pause();
    client.send(GET);
    await until(() => (application.sockets[0]?.writableLength ?? 0) > 0);
    client.socket.resetAndDestroy();
    await until(() => at.connections() === 0 && application.sockets[0]?.destroyed === true);
    expect(at.records[0]?.details).to.equal('downstream_remote_disconnect');
  });

  it('aborts the ext_authz check of a client that leaves', async () => {
    let signal: AbortSignal | undefined;
    const never: ExtAuthzClient = (_check, _body, aborted) => {
      signal = aborted;
      return new Promise(() => {});
    };
    const { port } = await start({ filterChain: chainWithChecks([undefined]), extAuthz: never });
    const client = new RawClient(port).send(GET + GET);
    await until(() => signal !== undefined);
    client.socket.end();
    await until(() => signal?.aborted === true);
    await until(() => at.connections() === 0);
    expect(at.seen).to.deep.equal([]);
  });

  it('closes the connection of a client that leaves within a head', async () => {
    const { port } = await start();
    const client = new RawClient(port).send('GET /ok HTT');
    await once(client.socket, 'connect');
    client.socket.end();
    expect(await client.untilClosed()).to.equal('');
    await until(() => at.connections() === 0);
    expect(at.closed).to.deep.equal(['client']);
  });
});

describe('HTTP/1.1 clients that do not read', () => {
  afterEach(async () => {
    await at.stop();
  });

  const large = `HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n${'x'.repeat(65_536)}`;
  const answerEach = (socket: Socket): void => void socket.on('data', () => socket.write(large));
  for (const [name, path, total] of [
    ['denied', '/no', 60_000],
    ['forwarded', '/ok', 500],
  ] as const)
    it(`serves no further ${name} request until the client has read, and serves others`, async () => {
      const { port } = await start({ upstream: answerEach });
      const client = new RawClient(port);
      client.socket.pause();
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(60)}\r\n\r\n`.repeat(total));
      await until(() => at.records.length > 0);
      for (let before = -1; before !== at.records.length; await sleep(60)) before = at.records.length;
      expect(at.records.length).to.be.lessThan(total);
      expect(await talk(port, GET, has('x'))).to.match(/^HTTP\/1.1 200/);
      client.socket.resume();
      await until(() => at.records.length === total + 1);
      client.socket.destroy();
    });

  it('keeps a number of bytes of a client that reads nothing, however much it sends', async () => {
    const before = INPUT_BUDGET.used;
    const { port } = await start();
    const client = new RawClient(port);
    client.socket.pause();
    client.send('GET /no HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100_000));
    await until(() => at.records.length > 0);
    for (let served = -1; served !== at.records.length; await sleep(60)) served = at.records.length;
    expect(INPUT_BUDGET.used - before).to.be.within(1, LIMITS.searchedInputBytes.value * 2);
    client.socket.destroy();
    await until(() => at.connections() === 0);
    expect(INPUT_BUDGET.used).to.equal(before);
  });

  it('closes a connection whose output is not read in time', async () => {
    const { port } = await start({ limits: { unreadTimeoutMs: 5 } });
    const client = new RawClient(port);
    client.socket.pause();
    client.send('GET /no HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(60_000));
    while (at.closed.length === 0) {
      at.listener.sweep(performance.now());
      await sleep(10);
    }
    expect(at.closed).to.deep.equal(['unread']);
  });
});

describe('HTTP/1.1 clients that still send when they are answered', () => {
  afterEach(async () => {
    await at.stop();
  });

  const SIZE = 5 * 1024 * 1024;
  const early = 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno';
  const framings = {
    'of known length': (path: string): Buffer => Buffer.concat([Buffer.from(post(path, SIZE)), Buffer.alloc(SIZE, 'x')]),
    'in chunks': (path: string): Buffer =>
      Buffer.concat([
        Buffer.from(`POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${SIZE.toString(16)}\r\n`),
        Buffer.alloc(SIZE, 'x'),
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
  };
  for (const [framing, request] of Object.entries(framings))
    for (const [name, path, status] of [
      ['the agent', '/no', 403],
      ['the application', '/ok', 413],
    ] as const)
      it(`gives the response of ${name} to a client that sends a large body ${framing} before it reads`, async () => {
        const { port } = await start({ upstream: (socket) => socket.once('data', () => socket.write(early)) });
        const client = new RawClient(port);
        client.socket.pause();
        await new Promise((resolve) => client.socket.write(request(path), resolve));
        client.socket.resume();
        expect(await client.untilClosed()).to.match(
          new RegExp(`^HTTP/1.1 ${status} [^]*\r\nconnection: close\r\n\r\n(?:no|RBAC: access denied)$`),
        );
        await until(() => at.connections() === 0);
        expect(at.closed).to.deep.equal(['response']);
      });

  it('closes immediately when the client waits for 100 Continue', async () => {
    const { port } = await start();
    const text = await talk(port, post('/no', SIZE, 'Expect: 100-continue\r\n'));
    expect(text).to.match(/^HTTP\/1.1 403 [^]*connection: close\r\n\r\nRBAC: access denied$/);
  });

  it('passes the refusal of an expectation on and closes', async () => {
    const refusal = 'HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno';
    const { port } = await start({ upstream: (socket) => socket.once('data', () => socket.write(refusal)) });
    const text = await talk(port, post('/ok', SIZE, 'Expect: 100-continue\r\n'));
    expect(text).to.match(/^HTTP\/1.1 417 Expectation Failed\r\n[^]*connection: close\r\n\r\nno$/);
    expect(at.seen[0]).to.match(/\r\nexpect: 100-continue\r\n[^]*\r\n\r\n$/);
  });

  it('discards no more than it has to of a client that never stops', async () => {
    const { port } = await start();
    const client = new RawClient(port).send(post('/no', Number.MAX_SAFE_INTEGER));
    const piece = Buffer.alloc(1024 * 1024);
    while (!client.socket.destroyed && at.closed.length === 0) {
      if (client.socket.writableLength === 0) client.socket.write(piece);
      await sleep(0);
    }
    client.socket.destroy();
    expect(at.closed).to.deep.equal(['discarded']);
    expect(client.text).to.match(/^HTTP\/1.1 403/);
  });

  it('ends its side when the client sends no more of a body that is not wanted, and closes when the client does not', async () => {
    const { port } = await start();
    const client = new RawClient(port).send(post('/no', 10));
    await client.until(has('denied'));
    expect(client.closed).to.equal(false);
    at.listener.sweep(performance.now() + LIMITS.discardIdleTime.value);
    expect(await client.until(() => false)).to.match(/^HTTP\/1.1 403/);
    // The client has not ended its side yet.
    expect(at.connections()).to.equal(1);
    at.listener.sweep(performance.now() + LIMITS.lingerTime.value);
    await until(() => at.connections() === 0);
    client.socket.destroy();
    expect(at.closed).to.deep.equal(['response']);
  });

  it('reads nothing behind CONNECT', async () => {
    const { port } = await start();
    const text = await talk(port, `CONNECT /no HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
    expect(text.match(/HTTP\/1.1/g)).to.have.length(1);
    expect(at.seen).to.deep.equal([]);
  });

  it('keeps the connection when the application refuses a body that was read to its end, and closes its own', async () => {
    const refusal = 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno';
    const { port } = await start({
      upstream: (socket, nth) => {
        socket.on('error', () => {});
        // The first connection is never read to its end.
        socket.once('data', () => (nth === 0 ? socket.pause().end(refusal) : socket.write(OK)));
      },
    });
    const client = new RawClient(port).send(`${post('/ok', 200_000)}${'x'.repeat(200_000)}`);
    await client.until(has('\r\n\r\nno'));
    client.send(GET);
    await client.until(has('\r\n\r\nok'));
    client.socket.destroy();
    expect(client.text).to.match(/^HTTP\/1.1 413 [^]*HTTP\/1.1 200 /);
    expect(client.text).not.to.contain('connection: close');
  });

  it('serves the next request after a body that was read to its end', async () => {
    const { port } = await start({
      upstream: (socket) =>
        socket.on('data', (chunk: Buffer) => void (/(?:abc|GET[^]*\r\n\r\n)$/.test(chunk.toString()) && socket.write(OK))),
    });
    const text = await talk(port, `${post('/ok', 3)}abc${GET}`, (all) => all.split('\r\n\r\nok').length === 3);
    expect(text).not.to.contain('connection: close');
  });
});
