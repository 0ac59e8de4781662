/*
 * The connection pool over connections that only record what happens to them: reuse, age and limits.
 */
import { expect } from 'chai';
import { UpstreamPool } from '../../../../src/agent/upstream/upstream-pool.ts';
import { systemClock } from '../../../../src/clock.ts';
import type { ClientConnection, ClientConnectionOwner, ClientStreamHandler, StreamRequest } from '../../../../src/http/stream.ts';

class FakeConnection implements ClientConnection {
  deadlineMs = 0;
  keepAliveMs = -1;
  reusable = true;
  reused = false;
  started = 0;
  wasReset = false;
  expired = false;
  start(): void {
    this.started += 1;
    this.deadlineMs = 0;
  }
  expire(): void {
    this.expired = true;
  }
  reset(): void {
    this.wasReset = true;
  }
  sendData(): void {}
  end(): void {}
  flush(): boolean {
    return true;
  }
  pause(): void {}
  resume(): void {}
}

const HEAD = { method: 'GET', target: '/', host: 'a', headers: [], upgrade: '' };
const REQUEST: StreamRequest = {
  version: '1.1',
  method: 'GET',
  target: '/',
  headers: [],
  hasBody: false,
  body: 0,
  lengthGiven: false,
  clientRequestId: '',
  grpcTimeout: '',
};
const HANDLER = {} as ClientStreamHandler;

describe('UpstreamPool', () => {
  let nowMs = 0;
  let made: FakeConnection[] = [];
  let owner: ClientConnectionOwner<ClientConnection> | undefined;
  let pool: UpstreamPool;
  beforeEach(() => {
    nowMs = 1000;
    made = [];
    pool = new UpstreamPool({
      connect: (poolAsOwner) => {
        owner = poolAsOwner;
        const connection = new FakeConnection();
        made.push(connection);
        return connection;
      },
      clock: { ...systemClock, nowMs: () => nowMs },
      connectTimeoutMs: 10_000,
      idleTimeoutMs: 60_000,
      maxIdle: 2,
      maxConnections: 10,
    });
  });
  const open = (fresh = false): FakeConnection => pool.open(HEAD, REQUEST, HANDLER, fresh) as FakeConnection;

  it('uses the most recently released connection first', () => {
    const [one, two] = [open(), open()];
    pool.release(one);
    pool.release(two);
    expect(open()).to.equal(two);
    expect(open()).to.equal(one);
    expect(open()).not.to.be.oneOf([one, two]);
    expect(made).to.have.length(3);
  });

  it('opens a new connection when a fresh one is asked for', () => {
    const one = open();
    pool.release(one);
    expect(open(true)).not.to.equal(one);
  });

  it('drops a connection that is not reusable, when it is released and when it is taken', () => {
    const one = open();
    one.reusable = false;
    pool.release(one);
    expect(one.wasReset).to.equal(true);
    const two = open();
    pool.release(two);
    two.reusable = false;
    expect(open()).not.to.equal(two);
    expect(two.wasReset).to.equal(true);
  });

  it('keeps at most the configured number of unused connections', () => {
    const connections = [open(), open(), open()];
    for (const connection of connections) pool.release(connection);
    expect(connections.map(({ wasReset }) => wasReset)).to.deep.equal([false, false, true]);
  });

  const ages: readonly (readonly [keepAliveMs: number, deadlineMs: number])[] = [
    [-1, 61_000],
    [5000, 5000],
    [120_000, 61_000],
  ];
  for (const [keepAliveMs, deadlineMs] of ages) {
    it(`keeps an unused connection until ${deadlineMs} ms when the application keeps it for ${keepAliveMs} ms`, () => {
      const one = open();
      one.keepAliveMs = keepAliveMs;
      pool.release(one);
      expect(one.deadlineMs).to.equal(deadlineMs);
      pool.sweep(deadlineMs - 1);
      expect(one.expired).to.equal(false);
      pool.sweep(deadlineMs);
      expect(one.expired).to.equal(true);
    });
  }

  it('drops a connection that the application keeps for a second or less', () => {
    const one = open();
    one.keepAliveMs = 1000;
    pool.release(one);
    expect(one.wasReset).to.equal(true);
  });

  it('forgets a closed connection', () => {
    const one = open();
    pool.release(one);
    owner?.onConnectionClosed(one);
    expect(open()).not.to.equal(one);
    pool.destroy();
    expect(one.wasReset).to.equal(false);
    expect(made[1]?.wasReset).to.equal(true);
  });
});
