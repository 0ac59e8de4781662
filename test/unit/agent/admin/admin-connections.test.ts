/*
 * Many connections to the admin port: those that wait never keep a probe out.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { AdminConnections } from '../../../../src/agent/admin/admin-connections.ts';
import { type AdminServer, startAdminServer } from '../../../../src/agent/admin/admin-server.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { createFakeClock, until } from '../../../support/fake-clock.ts';

class FakeSocket {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

const socket = (): Socket & FakeSocket => new FakeSocket() as Socket & FakeSocket;

describe('connections of the admin port', () => {
  it('close the oldest connection without a request for a new one', () => {
    const connections = new AdminConnections(createFakeClock(), 2);
    const [first, second, third] = [socket(), socket(), socket()];
    connections.add(first);
    connections.add(second);
    connections.add(third);
    expect([first, second, third].map(({ destroyed }) => destroyed)).to.deep.equal([true, false, false]);
    expect(connections.size).to.equal(2);
  });

  it('close one that has its response first, and none that is being answered', () => {
    const connections = new AdminConnections(createFakeClock(), 3);
    const sockets = [socket(), socket(), socket(), socket(), socket(), socket()];
    const [waiting, answering, responded, ...later] = sockets.map((each) => ({ each, add: () => connections.add(each) }));
    waiting?.add();
    for (const [one, isDone] of [
      [answering, false],
      [responded, true],
    ] as const) {
      const connection = one?.add();
      if (connection === undefined) throw new Error('refused');
      connections.onRequest(connection);
      if (isDone) connections.onResponse(connection);
    }
    for (const { add } of later.slice(0, 2)) add();
    expect(sockets.map(({ destroyed }) => destroyed)).to.deep.equal([true, false, true, false, false, false]);
  });

  it('refuse a new one when all others are being answered', () => {
    const connections = new AdminConnections(createFakeClock(), 1);
    const connection = connections.add(socket());
    if (connection === undefined) throw new Error('refused');
    connections.onRequest(connection);
    const before = LIMITS.adminConnections.reached;
    const late = socket();
    expect(connections.add(late)).to.equal(undefined);
    expect(late.destroyed).to.equal(true);
    expect(connection.socket.destroyed).to.equal(false);
    expect(LIMITS.adminConnections.reached).to.equal(before + 1);
  });

  it('have deadlines before the request and behind the response, and none while it is answered', () => {
    const clock = createFakeClock();
    const connections = new AdminConnections(clock, 10);
    const [waiting, answering, responded] = [connections.add(socket()), connections.add(socket()), connections.add(socket())];
    if (answering === undefined || responded === undefined) throw new Error('refused');
    connections.onRequest(answering);
    connections.onRequest(responded);
    clock.advance(LIMITS.adminHeadTime.value);
    connections.onResponse(responded);
    connections.sweep(clock.nowMs());
    expect([waiting, answering, responded].map((each) => each?.socket.destroyed)).to.deep.equal([true, false, false]);
    clock.advance(LIMITS.adminResponseTime.value);
    connections.sweep(clock.nowMs());
    expect([answering, responded].map((each) => each.socket.destroyed)).to.deep.equal([false, true]);
    connections.remove(answering);
    expect(connections.size).to.equal(0);
  });
});

describe('admin server under load', () => {
  const clock = createFakeClock();
  const sockets: Socket[] = [];
  let server: AdminServer;
  let finishProbe: (() => void)[] = [];
  beforeEach(async () => {
    finishProbe = [];
    server = await startAdminServer({
      host: '127.0.0.1',
      port: 0,
      logger: createLogger({ level: 'silent', component: 'test' }),
      problem: undefined,
      notReady: () => undefined,
      isReady: () => Promise.resolve(true),
      metrics: () => 'a 1\n',
      clock,
      maxConnections: LIMITS.adminConnections.value,
      date: () => 'now',
      probe: () => new Promise((resolve) => finishProbe.push(() => resolve({ status: 200, text: 'ok\n' }))),
    });
  });
  afterEach(() => {
    server.stop();
    for (const each of sockets.splice(0)) each.destroy();
  });
  const open = async (): Promise<Socket> => {
    const client = connect(server.port, '127.0.0.1');
    client.on('error', () => {});
    sockets.push(client);
    await once(client, 'connect');
    return client;
  };

  it('answers probes of the kubelet while more connections than allowed are idle', async () => {
    const count = LIMITS.adminConnections.value + 50;
    let closed = 0;
    for (let at = 0; at < count; at += 1) (await open()).on('close', () => (closed += 1));
    for (let at = 0; at < 20; at += 1) {
      expect((await fetch(`http://127.0.0.1:${server.port}/healthz`, { headers: { connection: 'close' } })).status).to.equal(200);
    }
    await until(() => closed >= 50, 'the oldest connections to be closed');
  });

  it('does not close a connection whose probe takes long', async () => {
    const response = fetch(`http://127.0.0.1:${server.port}/app-health/app/livez`);
    await until(() => finishProbe.length === 1, 'the probe');
    clock.advance(3_600_000);
    server.sweep(clock.nowMs());
    finishProbe[0]?.();
    expect((await response).status).to.equal(200);
  });

  it('closes a connection that sends no request in time', async () => {
    const client = await open();
    client.write('GET /healthz HTTP/1.1\r\n');
    let isClosed = false;
    client.on('close', () => (isClosed = true)).resume();
    await until(() => {
      clock.advance(LIMITS.adminHeadTime.value);
      server.sweep(clock.nowMs());
      return isClosed;
    }, 'the connection to be closed');
  });
});
