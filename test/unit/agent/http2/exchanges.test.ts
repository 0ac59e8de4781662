/* HTTP/2 through a listener: Node's client and server at both ends. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { constants } from 'node:http2';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { expect } from 'chai';
import { INPUT_BUDGET } from '../../../../src/agent/net/paused-input.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { until } from '../../../support/fake-clock.ts';
import { END, frame, framesOf, headers, PREFACE, RawHttp2Client, TYPE } from '../../../support/http2-frames.ts';
import { httpChain } from '../../filters/chains.ts';
import { ALLOW, chainWithChecks, partial } from '../check-chain.ts';
import { headOf, logOf, RawClient } from '../loopback.ts';
import { type Answer, echo, type Http2Stage, type Http2StageOptions, http2Stage, responseOf, send } from './http2-stage.ts';

describe('HTTP/2', () => {
  let at: Http2Stage | undefined;
  const open = async (options: Http2StageOptions = {}): Promise<Http2Stage> => (at = await http2Stage(options));

  afterEach(async () => {
    await at?.stop();
    at = undefined;
  });

  it('is forwarded with its fields and body, and the response back', async () => {
    const { connect, received, records } = await open();

    const response = await send(connect(), { ':path': '/a?b', ':method': 'POST', 'x-a': '1', cookie: 'c=d' }, 'hello');

    expect([response.status, response.body, response.code]).to.deep.equal([200, 'hello', 0]);
    expect(response.headers).to.include({ 'content-type': 'text/plain', server: 'istio-envoy' });
    expect(received[0]?.body).to.equal('hello');
    expect(received[0]?.headers).to.include.members([
      ':method',
      'POST',
      ':path',
      '/a?b',
      'x-a',
      '1',
      'cookie',
      'c=d',
      'x-request-id',
      'generated-id',
    ]);
    expect(records[0]).to.include({ protocol: '2', method: 'POST', path: '/a?b', status: 200, details: '' });
  });

  it('is read as it was when a client compresses any byte that a value may have', async () => {
    const { connect, received } = await open();
    const client = connect();
    const bytes = Array.from({ length: 256 }, (_, code) => code).filter((code) => code > 0x20 && code !== 0x7f);
    for (let from = 0; from < bytes.length; from += 50) {
      // Short codes around it, so that the whole is shorter than without compression.
      const values = bytes.slice(from, from + 50).map((code) => `${'e'.repeat(40)}${String.fromCharCode(code)}${'e'.repeat(40)}`);
      await send(client, { ':path': '/', ...Object.fromEntries(values.map((value, at) => [`x-${at}`, value])) });

      const seen = received.at(-1)?.headers ?? [];
      expect(values.map((_, at) => seen[seen.indexOf(`x-${at}`) + 1])).to.deep.equal(values);
    }
  });

  it('passes the head of a request on before any of its body has come', async () => {
    const { connect, received } = await open();
    const stream = connect().request({ ':path': '/', ':method': 'POST' });
    await until(() => received.length === 1, 'the head to arrive');
    stream.end('later');

    expect((await responseOf(stream)).body).to.equal('later');
  });

  it('serves many streams of one connection over one connection to the application', async () => {
    const { connect, sessions } = await open();
    const client = connect();

    const responses = await Promise.all(
      Array.from({ length: 200 }, (_, nth) => send(client, { ':path': '/', ':method': 'POST' }, `body ${nth}`)),
    );

    expect(responses.map(({ body }) => body)).to.deep.equal(responses.map((_, nth) => `body ${nth}`));
    expect(sessions.size).to.be.at.most(2);
  });

  it('passes bodies of several megabytes in both directions, with trailers', async () => {
    const answer: Answer = (stream, request) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-length': String(request.body.length) }));
      stream.pipe(stream);
    };
    const { connect, received } = await open({ answer });
    const body = 'abcdefghij'.repeat(400_000);
    const stream = connect().request({ ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
    stream.end(body);

    const response = await responseOf(stream);

    expect(response.body === body).to.equal(true);
    expect(response.trailers).to.include({ 'grpc-status': '0', 'x-length': String(body.length) });
    expect(received[0]?.trailers).to.deep.equal(['x-end', 'yes']);
  });

  for (const { sent, isWhole } of [
    { sent: '12345', isWhole: true },
    { sent: '1234', isWhole: false },
    { sent: '123456', isWhole: false },
    { sent: '', isWhole: false },
  ]) {
    it(`${isWhole ? 'passes' : 'does not pass as whole'} a response of ${sent.length} bytes that states a length of 5`, async () => {
      const { connect } = await open({
        answer: (stream) => {
          stream.respond({ ':status': 200, 'content-length': '5' });
          stream.end(sent);
        },
      });

      const response = await send(connect(), { ':path': '/' });

      if (isWhole) expect([response.status, response.body, response.code]).to.deep.equal([200, '12345', 0]);
      else expect([response.status, response.code]).to.not.deep.equal([200, 0]);
    });
  }

  it('denies without a word to the application', async () => {
    const { connect, received, records } = await open();

    const response = await send(connect(), { ':path': '/no' });

    expect([response.status, response.body]).to.deep.equal([403, 'RBAC: access denied']);
    expect(response.headers).to.include({ 'content-length': '19', 'content-type': 'text/plain' });
    expect(received).to.deep.equal([]);
    expect(records[0]).to.include({ protocol: '2', status: 403, details: 'rbac_access_denied_matched_policy[none]' });
  });

  it('stops a client whose body is not wanted any longer', async () => {
    const { connect } = await open();
    const stream = connect().request({ ':path': '/no', ':method': 'POST' });
    stream.write('begun');

    const response = await responseOf(stream);

    expect([response.status, response.code]).to.deep.equal([403, constants.NGHTTP2_NO_ERROR]);
  });

  it('shows an ext_authz server more of a body than fits into the window of a stream, and passes all of it on', async () => {
    const wanted = 2 * LIMITS.clientStreamWindow.value;
    const shown: number[] = [];
    const { connect, received } = await open({
      filterChain: chainWithChecks([partial(wanted)]),
      extAuthz: async (_check, body) => {
        shown.push(body?.bytes.length ?? 0);
        return ALLOW;
      },
    });
    const body = 'z'.repeat(wanted + 100_000);

    const stream = connect().request({ ':path': '/ok', ':method': 'POST' });
    let interim = 0;
    stream.on('continue', () => (interim += 1));
    stream.end(body);
    const response = await responseOf(stream);

    expect([response.status, interim]).to.deep.equal([200, 0]);
    expect(shown).to.deep.equal([wanted]);
    expect(received[0]?.body.length).to.equal(body.length);
  });

  it('forwards a request of HTTP/1.1 to an application that speaks HTTP/2', async () => {
    const { port, received } = await open({ appProtocol: 'http2' });
    const client = new RawClient(port);

    client.send(
      'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
    );
    await client.until((text) => text.endsWith('0\r\n\r\n'));

    expect(client.text).to.match(/^HTTP\/1\.1 200 \r\n[^]*transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n$/);
    expect(received[0]?.body).to.equal('abcde');
    expect(received[0]?.headers).to.include.members([':authority', 'a', ':path', '/p', 'x-a', '1']).and.not.include('transfer-encoding');
    client.send('POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab');
    await until(() => received.length === 2, 'the request with a length');
    expect(received[1]?.headers.filter((text) => text === 'content-length' || text === 'host')).to.deep.equal(['content-length']);
    client.send('HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await client.untilClosed();
    expect(received.map(({ headers }) => headers[headers.indexOf(':path') + 1])).to.deep.equal(['/p', '/l', '/h', '/g']);
  });

  it('states the length 0 to a client of HTTP/1.1 when the response ends with its head', async () => {
    const { port } = await open({
      appProtocol: 'http2',
      answer: (stream) => stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true }),
    });
    const client = new RawClient(port);

    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until((text) => text.includes('\r\n\r\n'));

    expect(client.text).to.include('grpc-status: 12\r\n').and.include('content-length: 0\r\n');
  });

  it('refuses an upgrade whose application speaks HTTP/2', async () => {
    const { port, received } = await open({ appProtocol: 'http2' });
    const client = new RawClient(port);

    client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    await client.untilClosed();

    expect(client.text).to.match(/^HTTP\/1\.1 502 /);
    expect(received).to.deep.equal([]);
  });

  for (const [name, options] of [
    ['of known length', { 'content-length': '3000000' }],
    ['of unknown length', {}],
  ] as const) {
    it(`forwards a body ${name} to an application that speaks HTTP/1.1, and its chunks back`, async () => {
      const heads: string[][] = [];
      const app = createServer((request, response) => {
        heads.push(request.rawHeaders);
        response.setHeader('trailer', 'x-t');
        request.pipe(response);
      });
      app.listen(0, '127.0.0.1');
      await once(app, 'listening');
      const { connect } = await open({ appProtocol: 'http1', application: (app.address() as AddressInfo).port });
      const body = 'x'.repeat(3_000_000);

      const response = await send(connect(), { ':method': 'POST', ':authority': 'b:1', ...options }, body);
      app.close();

      expect([response.status, response.body.length, response.trailers]).to.deep.equal([200, body.length, undefined]);
      expect(heads[0]?.slice(0, 2)).to.deep.equal(['host', 'b:1']);
      expect(heads[0]?.includes('transfer-encoding')).to.equal(!('content-length' in options));
      expect(response.headers).to.not.have.any.keys('transfer-encoding', 'connection');
    });
  }

  it('stops a sender whose receiver does not read, and delivers all when it does', async () => {
    const total = 8 * 1024 * 1024;
    const answer: Answer = (stream) => {
      stream.respond({ ':status': 200 });
      stream.end(Buffer.alloc(total, 'x'));
    };
    const { connect } = await open({ answer });
    const client = connect();
    const slow = client.request({ ':path': '/slow' });
    await once(slow, 'response');

    // Another stream of the connection is not held up.
    expect((await send(client, { ':path': '/no' })).status).to.equal(403);
    const response = await responseOf(slow);
    expect(response.body.length).to.equal(total);
  });

  it('stops a client whose application does not read, holds no more than its window, and delivers all in the end', async () => {
    let read: () => void = () => {};
    const answer: Answer = (stream, request) => {
      if (request.headers.includes('/slow')) stream.pause();
      read = () => stream.resume();
      echo(stream, request);
    };
    const { connect, received } = await open({ answer });
    const before = INPUT_BUDGET.used;
    const body = 'y'.repeat(2 * 1024 * 1024);
    const client = connect();
    const stream = client.request({ ':path': '/slow', ':method': 'POST' });
    stream.end(body);
    await until(() => received.length === 1, 'the request to arrive');
    const resume = read;
    for (let nth = 0; nth < 20; nth += 1) expect((await send(client, { ':path': '/no' })).status).to.equal(403);

    expect(INPUT_BUDGET.used - before).to.be.below(1024 * 1024);
    resume();
    expect((await responseOf(stream)).body.length).to.equal(body.length);
    await until(() => INPUT_BUDGET.used === before, 'the budget to be free');
  });

  it('resets the request at the application when the client cancels, and records it', async () => {
    const { connect, received, records } = await open({ answer: () => {} });
    const stream = connect().request({ ':path': '/wait' });
    stream.on('error', () => {});
    await until(() => received.length === 1, 'the request to arrive');

    stream.close(constants.NGHTTP2_CANCEL);

    await until(() => received[0]?.reset !== undefined, 'the stream to be reset');
    expect(received[0]?.reset).to.equal(constants.NGHTTP2_CANCEL);
    expect(records[0]).to.include({ status: 0, details: 'downstream_remote_disconnect' });
  });

  for (const [name, answer, status, details] of [
    ['resets the stream', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 503, '{remote_reset}'],
    ['closes the connection', (stream) => stream.session?.destroy(), 503, '{connection_termination}'],
    ['refuses the stream, and again', (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM), 503, '{remote_refused_stream_reset}'],
  ] as readonly (readonly [string, Answer, number, string])[]) {
    it(`answers ${status} when the application ${name}`, async () => {
      const { connect, records } = await open({ answer });

      const response = await send(connect(), { ':method': 'POST' });

      expect([response.status, records[0]?.details]).to.deep.equal([status, `upstream_reset_before_response_started${details}`]);
    });
  }

  for (const [name, bytes] of [
    ['an answer of HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a frame above the limit', frame(TYPE.data, 0, 1, Buffer.alloc(20_000))],
    ['data of no stream', frame(TYPE.data, 0, 0, Buffer.from('a'))],
    ['settings of half a length', frame(TYPE.settings, 0, 0, Buffer.alloc(5))],
    ['a response on a stream that was not opened', headers(3, [[':status', '200']])],
    ['a pushed stream', headers(2, [[':status', '200']])],
    ['a header block that cannot be decoded', frame(TYPE.headers, END, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]))],
  ] as const) {
    it(`answers 502 and closes the connection when the application sends ${name}`, async () => {
      const received: Buffer[] = [];
      let isClosed = false;
      const application = createTcp((socket) => {
        socket.on('error', () => {});
        socket.on('close', () => (isClosed = true));
        socket.on('data', (chunk: Buffer) => received.push(chunk));
        socket.once('data', () => socket.write(bytes));
      });
      application.listen(0, '127.0.0.1');
      await once(application, 'listening');
      const { connect, records } = await open({ appProtocol: 'http2', application: (application.address() as AddressInfo).port });

      const response = await send(connect(), { ':path': '/' });
      await until(() => isClosed, 'the connection to be closed');
      application.close();

      expect([response.status, records[0]?.details]).to.deep.equal([
        502,
        'upstream_reset_before_response_started{protocol_error|http2.violation.of.messaging.rule}',
      ]);
      expect(framesOf(Buffer.concat(received).subarray(PREFACE.length)).map(({ type }) => type)).to.include(TYPE.goaway);
    });
  }

  it('answers in the form of gRPC when the application cannot be reached', async () => {
    const filterChain = httpChain((raw) => ({ kind: 'forward', head: headOf(raw), log: { ...logOf('allow', raw.target), isGrpc: true } }));
    const { connect } = await open({ filterChain, answer: (stream) => stream.session?.destroy() });

    const response = await send(connect(), { ':method': 'POST', 'content-type': 'application/grpc' }, '');

    expect(response.headers).to.include({ ':status': 200, 'grpc-status': '14', 'content-type': 'application/grpc' });
    expect(response.headers['grpc-message']).to.match(/^upstream connect error/);
    const head = await send(connect(), { ':method': 'HEAD', 'content-type': 'application/grpc' });
    expect(head.headers).to.include({ ':status': 200, 'grpc-status': '14' }).and.not.have.property('grpc-message');
  });

  it('sends a request again that the application has refused, whatever its method, if nothing of a body was sent', async () => {
    let refused = false;
    const answer: Answer = (stream, request) => {
      if (refused) echo(stream, request);
      else {
        refused = true;
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
      }
    };
    const { connect, received } = await open({ answer });

    const response = await send(connect(), { ':method': 'POST', ':path': '/once' });

    expect([response.status, received.length]).to.deep.equal([200, 2]);
  });

  it('cuts a response off when the application does', async () => {
    const answer: Answer = (stream) => {
      stream.respond({ ':status': 200 });
      stream.write('part', () => stream.session?.destroy());
    };
    const { connect, records } = await open({ answer });

    const response = await send(connect());

    expect([response.status, response.code]).to.deep.equal([200, constants.NGHTTP2_INTERNAL_ERROR]);
    expect(records[0]?.details).to.equal('upstream_reset_after_response_started{connection_termination}');
  });

  it('opens another connection when the application allows few streams, or goes away', async () => {
    const waiting: (() => void)[] = [];
    const answer: Answer = (stream, request) => {
      if (request.headers.includes('/wait')) waiting.push(() => stream.respond({ ':status': 200 }, { endStream: true }));
      else echo(stream, request);
      if (request.headers.includes('/go')) stream.session?.close();
    };
    const { connect, received } = await open({ answer, settings: { maxConcurrentStreams: 2 } });
    const client = connect();
    const first = await send(client, { ':path': '/' });
    const held = Array.from({ length: 5 }, () => send(client, { ':path': '/wait', ':method': 'POST' }, 'w'));
    await until(() => received.length === 6, 'all requests to arrive');
    for (const answerNow of waiting) answerNow();

    expect([first, ...(await Promise.all(held))].map(({ status }) => status)).to.deep.equal(Array.from({ length: 6 }, () => 200));
    expect((await send(client, { ':path': '/go' })).status).to.equal(200);
    expect((await send(client, { ':path': '/' })).status).to.equal(200);
  });

  it('passes interim responses on, each status once', async () => {
    const answer: Answer = (stream, request) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.additionalHeaders({ ':status': 103, link: '</b>' });
      echo(stream, request);
    };
    const { connect } = await open({ answer });
    const stream = connect().request({});
    const interim: unknown[] = [];
    stream.on('headers', (fields) => interim.push(fields['link']));

    expect((await responseOf(stream)).status).to.equal(200);
    expect(interim).to.deep.equal(['</a>']);
  });

  it('ends a request whose grpc-timeout is over with grpc-status 4', async () => {
    const filterChain = httpChain((raw) => ({ kind: 'forward', head: headOf(raw), log: { ...logOf('allow', raw.target), isGrpc: true } }));
    const { connect } = await open({ answer: () => {}, filterChain });

    const response = await send(connect(), { ':method': 'POST', 'grpc-timeout': '50m', 'content-type': 'application/grpc' }, '');

    expect(response.headers).to.include({ ':status': 200, 'grpc-status': '4' });
  });

  it('lets exchanges finish when the agent stops, and takes new ones until the client knows', async () => {
    let answerNow: () => void = () => {};
    const answer: Answer = (stream, request) => {
      if (request.headers.includes('/wait')) answerNow = () => stream.respond({ ':status': 200 }, { endStream: true });
      else echo(stream, request);
    };
    const { connect, received, listener } = await open({ answer });
    const client = connect();
    const goaways: number[] = [];
    client.on('goaway', (_code, lastId) => goaways.push(lastId));
    const held = send(client, { ':path': '/wait', ':method': 'POST' }, 'w');
    await until(() => received.length === 1, 'the request to arrive');

    const stopped = listener.stop(10_000);
    await until(() => goaways.length === 1, 'the first GOAWAY');
    answerNow();
    expect((await held).status).to.equal(200);
    await until(() => client.closed || client.destroyed, 'the connection to end');
    await stopped;
    expect(goaways[0]).to.equal(2 ** 31 - 1);
  });

  it('ends an idle connection whose client does not, and says why', async () => {
    const { port, listener, closed } = await open();
    const client = new RawHttp2Client(port);
    client.socket.on('end', () => client.close());
    await until(() => client.frames.length > 0, 'the settings');

    await listener.stop(20);
    await until(() => closed.length === 1, 'the connection to end');
    expect(closed).to.deep.equal(['shutdown']);
    expect(client.of(0, TYPE.goaway)).to.have.length(2);
  });
});
