/* What the server side does with frames that no library sends: faults, floods, deadlines, and bytes that are not read. */
import { expect } from 'chai';
import { INPUT_BUDGET } from '../../../../src/agent/net/paused-input.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { until } from '../../../support/fake-clock.ts';
import {
  block,
  data,
  END,
  type Frame,
  frame,
  headers,
  integer,
  OPEN,
  RawHttp2Client,
  request,
  settings,
  TYPE,
  uint32,
} from '../../../support/http2-frames.ts';
import { RawClient } from '../loopback.ts';
import { type Answer, type Http2Stage, type Http2StageOptions, http2Stage } from './http2-stage.ts';

const POST = request({ method: 'POST' });

function codeOf(frames: readonly Frame[]): number | undefined {
  return frames.find(({ type }) => type === TYPE.rst)?.payload.readUInt32BE(0);
}

describe('HTTP/2 connection of a client', () => {
  let at: Http2Stage | undefined;
  let client: RawHttp2Client | undefined;
  const open = async (options: Http2StageOptions = {}, first?: Buffer): Promise<{ stage: Http2Stage; client: RawHttp2Client }> => {
    at = await http2Stage(options);
    client = new RawHttp2Client(at.port, first);
    return { stage: at, client };
  };

  afterEach(async () => {
    client?.close();
    await at?.stop();
    at = undefined;
  });

  it('is found by its preface, however it is split', async () => {
    const { stage } = await open();
    const slow = new RawClient(stage.port);
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
      slow.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    slow.send(Buffer.concat([settings(), headers(1, request({ path: '/no' }))]).toString('latin1'));

    await slow.until((text) => text.includes('RBAC: access denied'));
    slow.socket.destroy();
  });

  it('stays one of HTTP/1.1 when it begins like the preface', async () => {
    const { stage } = await open();
    const old = new RawClient(stage.port).send('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n');

    expect(await old.untilClosed()).to.match(/^HTTP\/1\.1 400 /);
  });

  it('is closed when the preface is not completed in time', async () => {
    const { stage } = await open({ limits: { headTimeoutMs: 50 } });
    const old = new RawClient(stage.port).send('PRI * HT');
    const sweeps = setInterval(() => stage.listener.sweep(performance.now()), 10);

    await old.untilClosed();
    clearInterval(sweeps);
  });

  it('acknowledges settings and pings', async () => {
    const { client } = await open();

    await client.settled();

    expect(client.frames.some(({ type, flags }) => type === TYPE.settings && flags === 1)).to.equal(true);
  });

  const FAULTS: readonly (readonly [name: string, bytes: Buffer, code: number])[] = [
    ['a first frame that is not SETTINGS', frame(TYPE.ping, 0, 0, Buffer.alloc(8)), 1],
    ['a stream with an even id', Buffer.concat([settings(), headers(2, POST)]), 1],
    ['HEADERS of the connection', Buffer.concat([settings(), headers(0, POST)]), 1],
    ['DATA of the connection', Buffer.concat([settings(), data(0, 'a')]), 1],
    ['DATA of a stream that is not open', Buffer.concat([settings(), data(1, 'a')]), 1],
    ['a frame within a header block', Buffer.concat([settings(), headers(1, POST, 0), frame(TYPE.ping, 0, 0, Buffer.alloc(8))]), 1],
    ['CONTINUATION of another stream', Buffer.concat([settings(), headers(1, POST, 0), frame(TYPE.continuation, 4, 3)]), 1],
    ['CONTINUATION without HEADERS', Buffer.concat([settings(), frame(TYPE.continuation, 4, 1)]), 1],
    ['PUSH_PROMISE', Buffer.concat([settings(), frame(TYPE.push, 4, 1, Buffer.alloc(4))]), 1],
    ['a PING of seven bytes', Buffer.concat([settings(), frame(TYPE.ping, 0, 0, Buffer.alloc(7))]), 6],
    ['a window of the connection above 2^31-1', Buffer.concat([settings(), frame(TYPE.window, 0, 0, uint32(0x7fff_ffff))]), 3],
    ['an update of the window by 0', Buffer.concat([settings(), frame(TYPE.window, 0, 0, uint32(0))]), 1],
    ['SETTINGS_ENABLE_PUSH of 2', settings([2, 2]), 1],
    ['SETTINGS_INITIAL_WINDOW_SIZE of 2^31', settings([4, 0x8000_0000]), 3],
    ['SETTINGS_MAX_FRAME_SIZE of 100', settings([5, 100]), 1],
    ['a header block that cannot be decoded', Buffer.concat([settings(), frame(TYPE.headers, END, 1, Buffer.from([0x80]))]), 9],
    ['a malformed request', Buffer.concat([settings(), headers(1, request({}, ['connection', 'close']))]), 1],
    ['trailers without the end of the stream', Buffer.concat([settings(), headers(1, POST, OPEN), headers(1, [['x', '1']], OPEN)]), 1],
    ['trailers with a pseudo-header field', Buffer.concat([settings(), headers(1, POST, OPEN), headers(1, [[':path', '/']])]), 1],
    ['a frame of 16,385 bytes', Buffer.concat([settings(), frame(TYPE.headers, END, 1, Buffer.alloc(16_385))]), 6],
  ];
  for (const [name, bytes, code] of FAULTS) {
    it(`ends with error ${code} for ${name}, and nothing is forwarded`, async () => {
      const { stage, client } = await open({ answer: () => {} }, bytes);

      expect(await client.ended()).to.equal(code);
      expect(stage.received.filter(({ reset }) => reset === 0)).to.deep.equal([]);
      await until(() => stage.closed.length === 1, 'the connection to be closed');
      expect(stage.closed).to.deep.equal(['refused']);
    });
  }

  it('resets a stream alone for a body that does not have its length, and records it', async () => {
    const { stage, client } = await open({ answer: () => {} });
    const body = request({ method: 'POST' }, ['content-length', '3']);
    client.send(
      headers(1, body, OPEN),
      data(1, 'abcd', true),
      headers(3, body, OPEN),
      data(3, 'ab', true),
      headers(5, request({ path: '/no' })),
    );

    expect(codeOf(await client.response(1))).to.equal(1);
    expect(codeOf(await client.response(3))).to.equal(1);
    expect(codeOf(await client.response(5))).to.equal(undefined);
    expect(stage.records.map(({ details }) => details).slice(0, 2)).to.deep.equal(Array(2).fill('http2.violation.of.messaging.rule'));
  });

  it('resets a stream alone for a header list that is too long or has too many fields, and can be used further', async () => {
    const { stage, client } = await open();
    const many = Array.from({ length: 97 }, (_, nth) => [`x${nth}`, '1'] as const);
    const long = block([['x', 'a'.repeat(16_000)]]);
    client.send(headers(1, request({}, ...many)), frame(TYPE.headers, 1, 3, block(request())));
    for (let nth = 0; nth < 4; nth += 1) client.send(frame(TYPE.continuation, nth === 3 ? 4 : 0, 3, long));
    client.send(headers(5, request({ path: '/no' })));

    expect([codeOf(await client.response(1)), codeOf(await client.response(3))]).to.deep.equal([2, 2]);
    await client.response(5);
    expect(stage.records.map(({ status, details }) => [status, details]).slice(0, 2)).to.deep.equal([
      [431, 'http2.too_many_headers'],
      [431, 'http2.header_list_size_too_large'],
    ]);
  });

  it('returns credit for bodies that are read, and a larger window for a stream that passes', async () => {
    const { client } = await open({ answer: () => {} });
    client.send(headers(1, POST, OPEN));
    const part = Buffer.alloc(16_384, 'x');
    const parts = 80;
    for (let nth = 0; nth < parts; nth += 1) {
      client.send(frame(TYPE.data, 0, 1, part));
      await client.settled();
    }

    const credit = client.of(1, TYPE.window).reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
    const window = LIMITS.clientStreamWindow.value + credit - parts * part.length;
    expect(window).to.be.within(LIMITS.largestStreamWindow.value / 2 + 1, LIMITS.largestStreamWindow.value);
    expect(client.of(0, TYPE.window).length).to.be.above(1);
    client.send(headers(3, request({ method: 'POST', path: '/no' }), OPEN));
    await client.response(3);
  });

  it('resets a stream whose client sends more than its window', async () => {
    const { client } = await open({ answer: (stream) => stream.pause() });
    client.send(headers(1, POST, OPEN));
    for (let nth = 0; nth < 60; nth += 1) client.send(frame(TYPE.data, 0, 1, Buffer.alloc(16_384, 'x')));

    expect(codeOf(await client.response(1))).to.equal(3);
  });

  const FLOODS: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['PING', frame(TYPE.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', settings([3, 100])],
    ['acknowledgements of SETTINGS', frame(TYPE.settings, 1, 0)],
    ['PRIORITY', frame(TYPE.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))],
    ['WINDOW_UPDATE', frame(TYPE.window, 0, 0, uint32(1))],
    ['RST_STREAM of a closed stream', frame(TYPE.rst, 0, 1, uint32(8))],
    ['frames of an unknown type', frame(0xee, 0, 0)],
  ];
  for (const [name, bytes] of FLOODS) {
    it(`ends with ENHANCE_YOUR_CALM when ${name} flood it`, async () => {
      const { stage, client } = await open();
      client.send(headers(1, request({ path: '/no' })));
      await client.response(1);
      for (let nth = 0; nth < 30; nth += 1) client.send(Buffer.concat(Array.from({ length: 100 }, () => bytes)));

      expect(await client.ended()).to.equal(11);
      await until(() => stage.closed.length === 1, 'the connection to be closed');
      expect(stage.closed).to.deep.equal(['overload']);
    });
  }

  for (const [name, first, bytes] of [
    ['empty DATA', headers(1, POST, OPEN), frame(TYPE.data, 0, 1)],
    ['empty CONTINUATION', headers(1, POST, 0), frame(TYPE.continuation, 0, 1)],
  ] as const) {
    it(`ends with ENHANCE_YOUR_CALM for two frames of ${name} in a row`, async () => {
      const { client } = await open({ answer: () => {} });
      client.send(first, bytes, bytes);

      expect(await client.ended()).to.equal(11);
    });
  }

  it('ends with ENHANCE_YOUR_CALM for a header block without end', async () => {
    const { client } = await open();
    client.send(headers(1, POST, 0));
    for (let nth = 0; nth < 9; nth += 1) client.send(frame(TYPE.continuation, 0, 1, Buffer.alloc(16_384)));

    expect(await client.ended()).to.equal(11);
  });

  it('ends with ENHANCE_YOUR_CALM for a client that resets what it opens, and forwards what it did not reset', async () => {
    const { stage, client } = await open({ answer: () => {} });
    for (let nth = 0; nth < 600; nth += 1) client.send(headers(nth * 2 + 1, POST), frame(TYPE.rst, 0, nth * 2 + 1, uint32(8)));

    expect(await client.ended()).to.equal(11);
    await until(() => stage.closed.length === 1, 'the connection to be closed');
    expect(stage.records.length).to.be.within(500, 502);
  });

  it('refuses streams beyond 1024 at a time, and serves more when some have ended', async () => {
    const { client } = await open({ answer: () => {} });
    for (let nth = 0; nth < 1025; nth += 1) client.send(headers(nth * 2 + 1, POST, OPEN));

    expect(codeOf(await client.response(2049))).to.equal(7);
    client.send(frame(TYPE.rst, 0, 1, uint32(8)), headers(2051, request({ path: '/no' })));
    expect(codeOf(await client.response(2051))).to.equal(undefined);
  });

  it('shows a list that is made of references to one large entry as too long, quickly', async () => {
    const { client } = await open();
    const entry = Buffer.concat([Buffer.from([0x40]), integer(0, 7, 1), Buffer.from('k'), integer(0, 7, 4000), Buffer.alloc(4000, 'v')]);
    client.send(frame(TYPE.headers, END, 1, Buffer.concat([entry, Buffer.alloc(12_000, 0xbe)])));

    expect(codeOf(await client.response(1))).to.equal(2);
  });

  it('keeps little of what a client does not read, and serves others meanwhile', async () => {
    const big: Answer = (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(150_000));
    };
    const { stage, client } = await open({ answer: big }, settings([4, 0]));
    for (let nth = 0; nth < 50; nth += 1) client.send(headers(nth * 2 + 1, request()));
    await until(() => stage.received.length === 50, 'all requests to arrive');
    const other = new RawHttp2Client(stage.port);
    other.send(headers(1, request({ path: '/no' })));

    await other.response(1);
    other.close();
    client.send(settings([4, 65_535]));
    await client.until(() => client.of(1, TYPE.data).length > 0);
  });

  it('resets a stream whose client opens no window for too long, and ends a connection without requests', async () => {
    const { stage, client } = await open({ limits: { unreadTimeoutMs: 30, idleTimeoutMs: 200 } }, settings([4, 0]));
    client.send(headers(1, POST, OPEN), data(1, 'body', true));
    const sweeps = setInterval(() => stage.listener.sweep(performance.now()), 10);

    expect(codeOf(await client.response(1))).to.equal(8);
    await client.ended();
    clearInterval(sweeps);
    await until(() => stage.closed.length === 1, 'the connection to be closed');
    expect(stage.closed).to.deep.equal(['idle']);
  });

  for (const [name, bytes] of [
    ['frame', headers(1, POST).subarray(0, 20)],
    ['header block', headers(1, POST, 0)],
  ] as const) {
    it(`ends when a ${name} is not completed in time`, async () => {
      const before = INPUT_BUDGET.used;
      const { stage, client } = await open({ limits: { headTimeoutMs: 50 } });
      client.send(bytes);
      const sweeps = setInterval(() => stage.listener.sweep(performance.now()), 10);

      await client.ended();
      clearInterval(sweeps);
      await until(() => stage.closed.length === 1, 'the connection to be closed');
      expect(stage.closed).to.deep.equal(['timeout']);
      expect(INPUT_BUDGET.used).to.equal(before);
    });
  }

  it('ignores what was on its way when it reset the stream', async () => {
    const { client } = await open();
    client.send(headers(1, request({ method: 'POST', path: '/no' }), OPEN));
    await client.response(1);
    await client.until(() => codeOf(client.of(1)) === 0);
    client.send(data(1, 'late'), headers(1, [['x', '1']]), frame(TYPE.window, 0, 1, uint32(5)), frame(TYPE.rst, 0, 1, uint32(0)));

    await client.settled();
    expect(client.closed).to.equal(false);
  });
});
