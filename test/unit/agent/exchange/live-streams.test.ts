/*
 * Streams that are evaluated again, over loopback sockets: every kind of stream, when the policy changes and when its token expires.
 */
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import type { ActivePolicy, LiveStream } from '../../../../src/agent/context.ts';
import { type EvaluationClient, EvaluationQueue, EvaluationTicket } from '../../../../src/agent/exchange/evaluation-queue.ts';
import type { ExchangeContext } from '../../../../src/agent/exchange/exchange-context.ts';
import { HeldRequest, type Revocation } from '../../../../src/agent/exchange/held-request.ts';
import { ReevaluatedStreams } from '../../../../src/agent/exchange/live-streams.ts';
import { type Clock, systemClock } from '../../../../src/clock.ts';
import { CHECK_ALLOWED, type CheckResponse } from '../../../../src/filters/check-response.ts';
import type { FilterChain } from '../../../../src/filters/filter-chain.ts';
import type { ForwardVerdict } from '../../../../src/filters/verdict.ts';
import { webSocketAccept } from '../../../../src/http/web-socket-key.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { OPCODE, serverFrame } from '../../../support/web-socket-frames.ts';
import { allow, authorizer, custom, deny, filterChainOf, paths, policy, raw } from '../../filters/chains.ts';
import { ISSUER, makeKey, NOW, type SigningKey, sign } from '../../jwt/tokens.ts';
import { connectHttp2, Http2WebSocket } from '../http2/web-socket-client.ts';
import { headOf, logOf, RawClient, type Stage, type StageOptions, stage, until } from '../loopback.ts';

const CANCEL = 8;
const LIFETIME = 600;
const has = (part: string) => (text: string) => text.includes(part);

let key: SigningKey;
let token: string;
let wallSeconds = NOW;
const clock: Clock = { ...systemClock, wallMs: () => wallSeconds * 1000 };
let at: Stage;
let session: ClientHttp2Session | undefined;

const authentication = policy('RequestAuthentication', 'ra', { jwtRules: [{ issuer: ISSUER, jwks: '{"keys":[]}' }] });
const withToken = allow('with-token', { from: [{ source: { requestPrincipals: ['*'] } }] });

function chainOf(...policies: readonly object[]): FilterChain {
  const providers = [authorizer('first'), authorizer('second')];
  return filterChainOf([authentication, ...policies], {
    keys: { source: 'inline', keys: [key.publicKey] },
    mesh: { extensionProviders: providers },
    deferVerification: true,
    reportExpiry: true,
  });
}

/** An application for every kind of stream, by the path of the request. */
function application(socket: Socket): void {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = text.slice(0, end);
    text = '';
    if (head.startsWith('GET /socket')) {
      const accept = webSocketAccept(/sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '');
      socket.write(`HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      socket.write(serverFrame(OPCODE.text, 'hi'));
    } else if (head.includes(' /events ')) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n');
    } else if (head.startsWith('GET /download')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart');
    else if (head.startsWith('GET /quick')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
}

async function start(options: StageOptions = {}): Promise<void> {
  wallSeconds = NOW;
  at = await stage({
    reevaluate: true,
    clock,
    appProtocol: 'http1',
    filterChain: chainOf(withToken),
    upstream: application,
    ...options,
  });
}

/** The token of the stream expires; its clock skew is over. */
function expire(): void {
  wallSeconds = NOW + LIFETIME + LIMITS.clockSkew.value / 1000 + 1;
  at.liveStreams?.sweep();
}

const shut = (): void => at.activate(chainOf(withToken, deny('shut', {})));

/** What ends a stream, with the reason that is recorded. */
const CAUSES: readonly (readonly [name: string, run: () => void, reason: string, details: string, policy: string])[] = [
  ['a policy that denies it', shut, 'denied', 'rbac_access_denied_matched_policy[ns[foo]-policy[shut]-rule[0]]', 'shut'],
  ['the end of its token', expire, 'token-expired', 'jwt_authn_access_denied{Jwt_is_expired}', 'ra'],
];

function h1(path: string, ...fields: readonly string[]): RawClient {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${token}`, ...fields, '', ''];
  return new RawClient(at.port).send(lines.join('\r\n'));
}

async function h2(path: string, fields: Readonly<Record<string, string>> = {}, endStream = true): Promise<ClientHttp2Stream> {
  session = await connectHttp2(at.port);
  const stream = session.request({ ':path': path, authorization: `Bearer ${token}`, ...fields }, { endStream });
  stream.on('error', () => {});
  return stream;
}

async function lastRecord(): Promise<Stage['records'][number]> {
  await until(() => at.records.length === 1);
  expect(at.liveStreams?.size).to.equal(0);
  return at.records[0] as Stage['records'][number];
}

async function expectRecord(reason: string, details: string, name: string): Promise<void> {
  const record = await lastRecord();
  expect([record.revoked, record.details]).to.deep.equal([reason, details]);
  const { decision, jwtRule } = record.verdict ?? {};
  expect((decision?.rule?.source ?? jwtRule)?.name).to.equal(name);
}

before(async () => {
  key = await makeKey('ES256');
  token = await sign(key, { exp: NOW + LIFETIME });
});

afterEach(async () => {
  session?.destroy();
  session = undefined;
  await at?.stop();
});

for (const [cause, run, reason, details, name] of CAUSES) {
  const text = reason === 'denied' ? 'access denied' : 'token expired';
  const status = reason === 'denied' ? 403 : 401;

  describe(`live streams and ${cause}`, () => {
    it('close a WebSocket over HTTP/1.1 with 1008', async () => {
      await start();
      const socket = new WebSocket(`ws://127.0.0.1:${at.port}/socket`, [], { headers: { authorization: `Bearer ${token}` } });
      await once(socket, 'message');
      run();
      const [code, why] = (await once(socket, 'close')) as [number, Buffer];
      expect([code, why.toString()]).to.deep.equal([1008, text]);
      await expectRecord(reason, details, name);
      // The application learns that its client goes away.
      await until(() => /\x88\x82[^]{6}$/.test(at.seen[0] ?? ''));
    });

    it('close a WebSocket over HTTP/2 with 1008', async () => {
      await start();
      session = await connectHttp2(at.port);
      const socket = new Http2WebSocket(session, '/socket', { authorization: `Bearer ${token}` });
      await socket.until(() => socket.frames.length === 1);
      run();
      await socket.until(() => socket.ended);
      const { opcode, payload } = socket.frames[1] ?? { opcode: 0, payload: Buffer.alloc(2) };
      expect([opcode, payload.readUInt16BE(0), payload.subarray(2).toString()]).to.deep.equal([OPCODE.close, 1008, text]);
      socket.stream.end();
      await socket.untilClosed();
      await expectRecord(reason, details, name);
    });

    it('cut a WebSocket off whose frame is half sent', async () => {
      await start({
        upstream: (socket) => {
          socket.once('data', (chunk: Buffer) => {
            const accept = webSocketAccept(/sec-websocket-key: (\S+)/i.exec(chunk.toString('latin1'))?.[1] ?? '');
            socket.write(`HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
            socket.write(serverFrame(OPCODE.text, 'cut').subarray(0, 3));
          });
        },
      });
      session = await connectHttp2(at.port);
      const socket = new Http2WebSocket(session, '/socket', { authorization: `Bearer ${token}` });
      await socket.until(() => socket.received === 3);
      run();
      await socket.untilClosed();
      expect([socket.received, socket.code]).to.deep.equal([3, CANCEL]);
      await expectRecord(reason, details, name);
    });

    it('answer a WebSocket that is not accepted yet', async () => {
      await start();
      session = await connectHttp2(at.port);
      const socket = new Http2WebSocket(session, '/wait', { authorization: `Bearer ${token}` });
      await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
      run();
      await socket.untilClosed();
      expect([socket.status, socket.code]).to.deep.equal([status, 0]);
      await expectRecord(reason, details, name);
    });

    for (const [kind, path] of [
      ['server-sent events', '/events'],
      ['a response with a length', '/download'],
    ] as const) {
      it(`close the connection of ${kind} over HTTP/1.1`, async () => {
        await start();
        const client = h1(path);
        await client.until((all) => all.includes('one\n\n') || all.includes('part'));
        run();
        const all = await client.untilClosed();
        expect(all).to.not.match(/0\r\n\r\n$/);
        expect(all.startsWith('HTTP/1.1 200 OK')).to.equal(true);
        await expectRecord(reason, details, name);
        expect(at.closed).to.deep.equal(['revoked']);
      });

      it(`reset the stream of ${kind} over HTTP/2 with CANCEL`, async () => {
        await start();
        const stream = await h2(path);
        let body = '';
        stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
        await until(() => body !== '');
        run();
        await once(stream, 'close');
        expect(stream.rstCode).to.equal(CANCEL);
        await expectRecord(reason, details, name);
        expect(at.connections()).to.equal(1);
      });
    }

    it(`answer a long poll over HTTP/1.1 with ${status}`, async () => {
      await start();
      const client = h1('/wait');
      await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
      run();
      const all = await client.until(has(reason === 'denied' ? 'RBAC: access denied' : 'Jwt is expired'));
      expect(all.startsWith(`HTTP/1.1 ${status} `)).to.equal(true);
      await expectRecord(reason, details, name);
      client.socket.destroy();
    });

    it(`answer a long poll over HTTP/2 with ${status}`, async () => {
      await start();
      const stream = await h2('/wait');
      await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
      run();
      const [head] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>];
      expect(head[':status']).to.equal(status);
      await expectRecord(reason, details, name);
    });

    it(`answer a long request over HTTP/1.1 with ${status}, and close`, async () => {
      await start();
      const client = new RawClient(at.port).send(
        `POST /upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Length: 1000\r\n\r\npart`,
      );
      await until(() => at.seen[0]?.endsWith('part') === true);
      run();
      const all = await client.until(has('\r\n\r\n'));
      expect(all.startsWith(`HTTP/1.1 ${status} `)).to.equal(true);
      expect(all.toLowerCase()).to.include('connection: close');
      await expectRecord(reason, details, name);
      client.socket.destroy();
    });

    it(`answer a long request over HTTP/2 with ${status}`, async () => {
      await start();
      const stream = await h2('/upload', { ':method': 'POST' }, false);
      stream.write('part');
      await until(() => (at.seen[0] ?? '').includes('part'));
      run();
      const [head] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>];
      expect(head[':status']).to.equal(status);
      await expectRecord(reason, details, name);
    });

    it('end a gRPC response with trailers', async () => {
      await start();
      const stream = await h2('/events', { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }, false);
      const trailers = once(stream, 'trailers');
      stream.on('data', () => {});
      await once(stream, 'response');
      run();
      const [fields] = (await trailers) as [Readonly<Record<string, unknown>>];
      expect(fields['grpc-status']).to.equal(reason === 'denied' ? '7' : '16');
      expect(fields['grpc-message']).to.equal(reason === 'denied' ? 'RBAC: access denied' : 'Jwt is expired');
      await expectRecord(reason, details, name);
    });

    it('end a gRPC call without a response by its status', async () => {
      await start();
      const stream = await h2('/wait', { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }, false);
      await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
      run();
      const [head] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>];
      expect([head[':status'], head['grpc-status']]).to.deep.equal([200, reason === 'denied' ? '7' : '16']);
      await expectRecord(reason, details, name);
    });
  });
}

describe('live streams', () => {
  it('live on through 100 changes of the policy that allow them', async () => {
    await start();
    const socket = new WebSocket(`ws://127.0.0.1:${at.port}/socket`, [], { headers: { authorization: `Bearer ${token}` } });
    await once(socket, 'message');
    const events = h1('/events');
    await events.until(has('one\n\n'));
    for (let nth = 0; nth < 100; nth += 1) {
      // Some of them come before all streams were evaluated under the one before.
      at.activate(chainOf(withToken, deny(`other-${nth}`, paths(`/other-${nth}`))));
      if (nth % 10 === 0) await until(() => at.liveStreams?.waiting === 0);
    }
    await until(() => at.liveStreams?.waiting === 0);
    expect([at.liveStreams?.size, at.records.length, events.closed]).to.deep.equal([2, 0, false]);
    events.socket.destroy();
    socket.terminate();
    await until(() => at.records.length === 2);
    expect(at.records.map(({ revoked }) => revoked)).to.deep.equal([undefined, undefined]);
    expect(at.liveStreams?.size).to.equal(0);
  });

  it('live on as long as they want where streams are not evaluated again', async () => {
    await start({ reevaluate: false });
    const client = h1('/events');
    await client.until(has('one\n\n'));
    shut();
    wallSeconds = NOW + 2 * LIFETIME;
    await sleep(20);
    expect([client.closed, at.records.length]).to.deep.equal([false, 0]);
    client.socket.destroy();
  });

  it('end when a key of their token is gone', async () => {
    await start();
    const client = h1('/events');
    await client.until(has('one\n\n'));
    key = await makeKey('ES256');
    at.activate(chainOf(withToken));
    await client.untilClosed();
    key = await makeKey('ES256');
    token = await sign(key, { exp: NOW + LIFETIME });
    expect((await lastRecord()).revoked).to.equal('token-refused');
  });

  it('end when no policy is active', async () => {
    await start();
    const client = h1('/wait');
    await until(() => (at.seen[0] ?? '').includes('\r\n\r\n'));
    at.activate(undefined);
    expect((await client.until(has('\r\n\r\n'))).startsWith('HTTP/1.1 503 ')).to.equal(true);
    const { revoked, details } = await lastRecord();
    expect([revoked, details]).to.deep.equal(['no-policy', 'no_policy_bundle']);
    client.socket.destroy();
  });

  it('outlive the end of a token that the policy does not look at any longer', async () => {
    await start();
    const client = h1('/events');
    await client.until(has('one\n\n'));
    at.activate(filterChainOf([allow('all', {})], { reportExpiry: true }));
    await until(() => at.liveStreams?.waiting === 0);
    expire();
    await sleep(20);
    expect(client.closed).to.equal(false);
    client.socket.destroy();
  });

  it('are evaluated again in the first second in which a request with their token is refused', async () => {
    await start();
    const client = h1('/events');
    await client.until(has('one\n\n'));
    wallSeconds = NOW + LIFETIME + LIMITS.clockSkew.value / 1000;
    at.liveStreams?.sweep();
    expect(at.liveStreams?.waiting).to.equal(0);
    wallSeconds += 1;
    at.liveStreams?.sweep();
    await client.untilClosed();
    expect((await lastRecord()).revoked).to.equal('token-expired');
  });

  it('end once when the policy changes while they end', async () => {
    await start();
    const client = h1('/events');
    await client.until(has('one\n\n'));
    client.socket.destroy();
    shut();
    await until(() => at.records.length > 0);
    await sleep(20);
    expect(at.records).to.have.length(1);
    expect(at.liveStreams?.size).to.equal(0);
  });

  it('are closed with 1001 once when their token expires while the agent stops', async () => {
    await start();
    session = await connectHttp2(at.port);
    const socket = new Http2WebSocket(session, '/socket', { authorization: `Bearer ${token}` });
    await socket.until(() => socket.frames.length === 1);
    const stopped = at.listener.stop(5);
    await socket.until(() => socket.frames.length === 2);
    expire();
    await until(() => at.liveStreams?.waiting === 0);
    await stopped;
    expect(socket.frames.slice(1).map(({ payload }) => payload.readUInt16BE(0))).to.deep.equal([1001]);
    await until(() => at.records.length === 1);
    expect(at.records[0]?.revoked).to.equal(undefined);
  });

  it('end during the drain when their token expires', async () => {
    await start();
    const client = h1('/events');
    await client.until(has('one\n\n'));
    const stopped = at.listener.stop(5000);
    expire();
    await client.untilClosed();
    await stopped;
    expect((await lastRecord()).revoked).to.equal('token-expired');
  });

  it('leave nothing behind for the next request of the connection', async () => {
    await start();
    const client = h1('/quick').send(`GET /quick HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await client.until((all) => all.split('\r\n\r\nok').length === 3);
    expect(at.liveStreams?.size).to.equal(0);
    client.socket.destroy();
  });
});

describe('live streams of which an ext_authz server was asked', () => {
  const asked: string[] = [];
  const server = (response: CheckResponse): StageOptions['extAuthz'] => {
    asked.length = 0;
    return (check) => {
      asked.push(check.provider.name);
      return Promise.resolve(response);
    };
  };
  const byRole = allow('by-role', { when: [{ key: 'request.headers[x-role]', values: ['admin'] }] });

  it('keep the answer, with the headers that it sets', async () => {
    await start({
      filterChain: chainOf(custom('ask', 'first', {}), byRole),
      extAuthz: server({ ...CHECK_ALLOWED, setHeaders: ['x-role', 'admin'] }),
    });
    const client = h1('/events');
    await client.until(has('one\n\n'));
    at.activate(chainOf(custom('ask', 'first', {}), byRole, deny('other', paths('/other'))));
    await until(() => at.liveStreams?.waiting === 0);
    await sleep(20);
    expect([client.closed, asked]).to.deep.equal([false, ['first']]);
    at.activate(chainOf(custom('ask', 'first', {}), allow('by-role', { when: [{ key: 'request.headers[x-role]', values: ['owner'] }] })));
    await client.untilClosed();
    expect((await lastRecord()).revoked).to.equal('denied');
  });

  it('end when another server would have to be asked', async () => {
    await start({ filterChain: chainOf(custom('ask', 'first', {}), withToken), extAuthz: server(CHECK_ALLOWED) });
    const client = h1('/events');
    await client.until(has('one\n\n'));
    at.activate(chainOf(custom('ask', 'second', {}), withToken));
    await client.untilClosed();
    const record = await lastRecord();
    expect([record.revoked, record.details, record.verdict?.customRule?.name]).to.deep.equal(['ext-authz', 'ext_authz_not_asked', 'ask']);
    expect(asked).to.deep.equal(['first']);
  });

  it('are evaluated again when the policy has changed during the check', async () => {
    let answer: ((response: CheckResponse) => void) | undefined;
    await start({
      filterChain: chainOf(custom('ask', 'first', {}), withToken),
      extAuthz: () => new Promise((resolve) => (answer = resolve)),
    });
    const client = h1('/wait');
    await until(() => answer !== undefined);
    shut();
    answer?.(CHECK_ALLOWED);
    expect((await client.until(has('\r\n\r\n'))).startsWith('HTTP/1.1 403 ')).to.equal(true);
    expect((await lastRecord()).revoked).to.equal('denied');
    client.socket.destroy();
  });
});

describe('the work for live streams', () => {
  const chain = filterChainOf([allow('all', {})]);
  let active: ActivePolicy = { filterChain: chain, digest: 'a' };

  it('takes one place in the queue of evaluations, whatever their number', () => {
    const turns: (() => void)[] = [];
    const evaluations = new EvaluationQueue(systemClock, (run) => turns.push(run));
    const streams = new ReevaluatedStreams({ clock: systemClock, evaluations, activePolicy: () => active, max: 5000 });
    let evaluated = 0;
    for (let nth = 0; nth < 5000; nth += 1) {
      const stream: LiveStream = { expiresAt: 0, reevaluate: () => (evaluated += 1) };
      expect(streams.add(stream, active)).to.equal(true);
    }
    active = { filterChain: chain, digest: 'b' };
    streams.onPolicyChange();
    expect([evaluations.length, streams.waiting]).to.deep.equal([1, 5000]);
    const order: number[] = [];
    const request: EvaluationClient = { onEvaluationTurn: () => order.push(evaluated), onEvaluationTimeout: () => {} };
    evaluations.add(new EvaluationTicket(request));
    // A second change before the first was dealt with begins from the start, and forgets no stream.
    turns.shift()?.();
    active = { filterChain: chain, digest: 'c' };
    streams.onPolicyChange();
    expect(streams.waiting).to.equal(5000);
    const before = evaluated;
    for (let run = turns.shift(); run !== undefined; run = turns.shift()) run();
    expect([evaluated - before, streams.waiting, streams.size]).to.deep.equal([5000, 0, 5000]);
    expect(order[0]).to.be.lessThan(5000);
  });

  it('is done by the sweeper where the queue was full', () => {
    const turns: (() => void)[] = [];
    const evaluations = new EvaluationQueue(systemClock, (run) => turns.push(run));
    const streams = new ReevaluatedStreams({ clock: systemClock, evaluations, activePolicy: () => active, max: 10 });
    const client: EvaluationClient = { onEvaluationTurn: () => {}, onEvaluationTimeout: () => {} };
    const tickets = Array.from({ length: LIMITS.waitingEvaluations.value }, () => new EvaluationTicket(client));
    for (const ticket of tickets) evaluations.add(ticket);
    let evaluated = 0;
    streams.add({ expiresAt: 0, reevaluate: () => (evaluated += 1) }, undefined);
    for (const ticket of tickets) evaluations.remove(ticket);
    for (let run = turns.shift(); run !== undefined; run = turns.shift()) run();
    expect(evaluated).to.equal(0);
    streams.sweep();
    for (let run = turns.shift(); run !== undefined; run = turns.shift()) run();
    expect(evaluated).to.equal(1);
  });

  it('knows a stream once that is added again while it waits', () => {
    const streams = new ReevaluatedStreams({
      clock: systemClock,
      evaluations: new EvaluationQueue(systemClock, () => {}),
      activePolicy: () => active,
      max: 10,
    });
    const stream: LiveStream = { expiresAt: 0, reevaluate: () => {} };
    streams.add(stream, undefined);
    streams.add(stream, active);
    expect([streams.size, streams.waiting]).to.deep.equal([1, 0]);
    streams.delete(stream);
    expect(streams.size).to.equal(0);
  });

  it('refuses a stream beyond the limit', () => {
    const streams = new ReevaluatedStreams({
      clock: systemClock,
      evaluations: new EvaluationQueue(systemClock, () => {}),
      activePolicy: () => active,
      max: 1,
    });
    const stream = (): LiveStream => ({ expiresAt: 0, reevaluate: () => {} });
    expect([streams.add(stream(), active), streams.add(stream(), active)]).to.deep.equal([true, false]);
  });

  it('keeps heads within a budget, beyond which a stream ends at the next change', () => {
    const revocations: Revocation[] = [];
    const context = { clock: systemClock, liveStreams: { add: () => true, delete: () => {} } } as unknown as ExchangeContext;
    const request = raw('/', ['x-long', 'x'.repeat(LIMITS.liveStreamBytes.value * 0.6)]);
    const held = (): HeldRequest => new HeldRequest(request, active, context, { onRevoked: (revocation) => revocations.push(revocation) });
    const verdict: ForwardVerdict = { kind: 'forward', head: headOf(request), log: logOf('allow') };
    const [first, second, third] = [held(), held(), held()];
    expect([first.begin(verdict), second.begin(verdict)]).to.deep.equal([true, true]);
    first.reevaluate(active);
    expect(revocations).to.deep.equal([]);
    second.reevaluate(active);
    expect(revocations.map(({ reason, reply }) => [reason, reply.status])).to.deep.equal([['not-kept', 503]]);
    first.end();
    second.end();
    third.begin(verdict);
    third.reevaluate(active);
    third.end();
    expect(revocations).to.have.length(1);
  });
});
