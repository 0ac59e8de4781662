/*
 * Responses that are held because their clients do not read: windows that grew, and which stream gives way when too much is held.
 */
import { expect } from 'chai';
import { Http2ClientStream } from '../../../../src/agent/http2/client-stream.ts';
import { type Http2Stream, type StreamOwner, WAITING_BYTES } from '../../../../src/agent/http2/stream.ts';
import type { ClientStreamHandler } from '../../../../src/http/stream.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

const BASE = LIMITS.upstreamStreamWindow.value;
const LARGEST = LIMITS.largestStreamWindow.value;
const BYTES = Buffer.alloc(BASE);
const head = { method: 'GET', target: '/', host: 'a', headers: [], upgrade: '' };

/** The response to one request, from an application that sends as much as it is allowed to. */
class Response {
  readonly stream: Http2ClientStream;
  /** What the application may send. */
  window = BASE;
  failure = '';

  constructor() {
    const owner: StreamOwner = {
      writeData: () => 0,
      writeEnd: () => {},
      writeBlock: () => {},
      writeFields: () => {},
      writeCredit: (_stream, bytes) => {
        this.window += bytes;
      },
      writeReset: (stream: Http2Stream) => stream.dispose(),
      setBlocked: () => {},
      noteHeld: () => {},
      onStreamOver: (stream: Http2Stream) => stream.dispose(),
      touch: () => {},
      isFull: false,
      nowMs: () => 0,
    };
    const handler: Partial<ClientStreamHandler> = {
      onResponseHead: () => {},
      onResponseData: () => {},
      onResponseFlush: () => {},
      onUpstreamFailure: (failure, reason) => {
        this.failure = `${failure} ${reason}`;
      },
    };
    const windows = { send: BASE, receive: BASE, budget: WAITING_BYTES };
    this.stream = new Http2ClientStream(1, owner, windows, { reused: false, reopen: undefined, takesTunnels: false });
    this.stream.begin(head, { method: 'GET', body: 0 } as never, handler as ClientStreamHandler);
    this.stream.receiveFields([':status', '200'], false);
  }

  /** @param bytes absent: all that is allowed */
  send(bytes: number = this.window): void {
    for (let left = bytes; left > 0; left -= BASE) {
      const length = Math.min(left, BASE);
      this.window -= length;
      this.stream.receiveData(BYTES, 0, length);
    }
  }

  /** Lets it pass until the window is as large as it gets. */
  grow(): this {
    for (let times = 0; times < 16; times += 1) this.send();
    return this;
  }
}

describe('responses whose clients do not read', () => {
  const opened: Response[] = [];
  const open = (): Response => {
    const response = new Response();
    opened.push(response);
    return response;
  };
  afterEach(() => {
    for (const { stream } of opened.splice(0)) stream.dispose();
    expect(WAITING_BYTES.used).to.equal(0);
  });

  it('have a window of its first size again once what was held has been read, and then may grow as before', () => {
    const response = open().grow();
    expect(response.window).to.equal(LARGEST);
    response.stream.pause();
    response.send();
    expect([response.window, WAITING_BYTES.used >= LARGEST]).to.deep.equal([0, true]);
    response.stream.resume();
    expect([response.window, WAITING_BYTES.used]).to.deep.equal([BASE, 0]);
    expect(response.grow().window).to.equal(LARGEST);
  });

  it('keep less credit than the window has grown until all of the growth is back', () => {
    const response = open().grow();
    for (let times = 0; times < LARGEST / BASE; times += 1) {
      response.stream.pause();
      response.send(Math.min(response.window, BASE));
      response.stream.resume();
    }
    expect(response.window).to.be.within(BASE / 2, BASE);
  });

  it('leave their growth to others', () => {
    const grown = Array.from({ length: Math.floor(LIMITS.streamWindowGrowth.value / (LARGEST - BASE)) }, () => open().grow());
    const [first] = grown;
    const other = open().grow();
    expect([first?.window, other.window < LARGEST]).to.deep.equal([LARGEST, true]);
    first?.stream.pause();
    first?.send();
    first?.stream.resume();
    expect(other.grow().window).to.equal(LARGEST);
  });

  it('give way, the one first that was not read for longest, when too much is held', async () => {
    const waiting = Array.from({ length: WAITING_BYTES.max / BASE }, open);
    for (const { stream } of waiting) stream.pause();
    for (const response of waiting) response.send(BASE);
    const [first, second, third] = waiting;
    first?.stream.resume();
    first?.stream.pause();
    first?.send(BASE);
    const current = open();
    current.stream.pause();
    current.send(BASE);
    await Promise.resolve();
    expect([first, second, third, current].map((response) => response?.failure)).to.deep.equal(['', 'termination overload', '', '']);
    expect(WAITING_BYTES.used).to.equal(WAITING_BYTES.max);
  });
});
