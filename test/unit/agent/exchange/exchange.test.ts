/*
 * The exchange between a client and an application in memory: verdicts, replies, retries, upgrades, backpressure and records,
 * none of which depends on a protocol.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { httpChain } from '../../filters/chains.ts';
import { headOf, logOf } from '../loopback.ts';
import { type MemoryStage, memoryStage } from '../memory-stage.ts';

const TERMINATION = 'upstream_reset_before_response_started{connection_termination}';

describe('exchange: verdicts', () => {
  it('forwards a request with the head of the verdict and answers with the response of the upstream', () => {
    const { client, upstream, records } = memoryStage();
    client.request({ target: '/ok?q=1', headers: ['host', 'a:80', 'x-a', 'b c'] });
    expect(upstream.last.head).to.deep.equal({
      method: 'GET',
      target: '/ok?q=1',
      host: 'a:80',
      headers: ['x-a', 'b c', 'x-request-id', 'generated-id'],
      upgrade: '',
    });
    upstream.last.respond(200, ['x', 'y']).send('ok').finish();

    expect(client.response).to.deep.equal({ interim: [], status: 200, headers: ['x', 'y'], body: 'ok', ended: 'end' });
    expect(records).to.have.length(1);
    expect(records[0]).to.include({
      method: 'GET',
      path: '/ok?q=1',
      status: 200,
      requestId: 'generated-id',
      destinationPort: 8080,
      sourceIp: '127.0.0.1',
      details: '',
      digest: 'sha256:d',
    });
    expect(records[0]?.startMs).to.be.greaterThan(0);
    expect(records[0]?.evaluatedMs).to.be.at.least(records[0]?.startMs ?? 0);
  });

  it('keeps the request id of the client', () => {
    const { client, upstream, records } = memoryStage();
    client.request({ headers: ['host', 'a', 'X-Request-Id', 'mine'], clientRequestId: 'mine' });
    upstream.last.respond(200).finish();
    expect(upstream.last.head.headers).to.deep.equal(['x-request-id', 'mine']);
    expect(records[0]).to.include({ requestId: 'mine' });
  });

  it('sends nothing upstream for a denied request and serves the next one', () => {
    const { client, upstream, records } = memoryStage();
    client.request({ target: '/no' });
    expect(client.response).to.include({ status: 403, body: 'RBAC: access denied', ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
    client.request({ target: '/ok' });
    upstream.last.respond(200).finish();
    expect(upstream.exchanges).to.have.length(1);
    expect(records.map((record) => [record.status, record.details])).to.deep.equal([
      [403, 'rbac_access_denied_matched_policy[none]'],
      [200, ''],
    ]);
  });

  it('never reads the body of a denied request', () => {
    const { client, upstream } = memoryStage();
    client.request({ method: 'POST', target: '/no', body: 3 }).send('abc').endBody();
    expect(client.response).to.include({ status: 403, ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
  });

  it('answers 503 to everything while no policy is active', () => {
    const { client, upstream, records } = memoryStage({ notReady: true });
    client.request();
    expect(client.response).to.include({ status: 503, body: 'no policy in force yet', ended: 'reply' });
    expect(upstream.exchanges).to.deep.equal([]);
    expect(records[0]).to.include({ status: 503, details: 'no_policy_bundle', digest: '', evaluatedMs: 0 });
  });

  it('answers with the reply of a codec that cannot read the request, and records it without a verdict', () => {
    const { client, records } = memoryStage();
    client.fault({ kind: 'reply', status: 400, body: 'Bad Request', headers: [], close: true, details: 'http1.codec_error' });
    expect(client.response).to.include({ status: 400, body: 'Bad Request', ended: 'reply' });
    expect(records[0]).to.include({ method: '', status: 400, details: 'http1.codec_error', verdict: undefined });
  });

  it('records nothing of the request before when the codec cannot read the next one', () => {
    const { client, records } = memoryStage();
    client.request({ target: '/no' });
    client.fault({ kind: 'reply', status: 400, body: 'Bad Request', headers: [], close: true, details: 'http1.codec_error' });
    const nothing = { method: '', path: '', requestId: '', verdict: undefined, digest: '', evaluatedMs: 0 };
    expect(records[1]).to.include({ ...nothing, status: 400, details: 'http1.codec_error' });
  });

  it('passes the body on after the verdict, and its end', () => {
    const { client, upstream } = memoryStage();
    client.request({ method: 'POST', body: 6 }).send('abc').send('def');
    expect(upstream.last).to.include({ body: 'abcdef', ended: false });
    client.endBody();
    expect(upstream.last.ended).to.equal(true);
  });

  it('passes interim responses on', () => {
    const { client, upstream } = memoryStage();
    client.request();
    upstream.last.respond(100).respond(103).respond(200).finish();
    expect(client.response).to.deep.include({ interim: [100, 103], status: 200, ended: 'end' });
  });

  it('forwards only what the verdict forwards', () => {
    const { client, upstream } = memoryStage({
      filterChain: httpChain((request) => ({ kind: 'forward', head: { ...headOf(request), headers: ['x', 'y'] }, log: logOf('allow') })),
    });
    client.request({ headers: ['host', 'a', 'authorization', 'secret'] });
    expect(upstream.last.head.headers).to.deep.equal(['x', 'y']);
  });
});

describe('exchange: failing upstreams', () => {
  const failures = [
    ['connect', 503, 'connection failure', 'connection_failure'],
    ['timeout', 503, 'connection timeout', 'connection_timeout'],
    ['termination', 503, 'connection termination', 'connection_termination'],
    ['protocol', 502, 'protocol error', 'protocol_error'],
  ] as const;
  for (const [failure, status, reason, details] of failures) {
    it(`answers ${status} when the upstream fails before its response: ${failure}`, () => {
      const { client, upstream, records } = memoryStage();
      client.request();
      upstream.last.fail(failure);
      const body = `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`;
      expect(client.response).to.include({ status, body, ended: 'reply' });
      expect(records[0]).to.include({ status, details: `upstream_reset_before_response_started{${details}}` });
    });
  }

  it('sends an idempotent request again, once, when the reused connection is dead', () => {
    const { client, upstream } = memoryStage();
    upstream.reuses = true;
    client.request({ target: '/ok' });
    upstream.last.fail('termination');
    expect(upstream.exchanges.map(({ fresh, head }) => [fresh, head.target])).to.deep.equal([
      [false, '/ok'],
      [true, '/ok'],
    ]);
    upstream.last.respond(200).finish();
    expect(client.response).to.include({ status: 200, ended: 'end' });

    client.request({ target: '/ok' });
    upstream.last.fail('termination');
    upstream.last.fail('termination');
    expect(client.response).to.include({ status: 503 });
    expect(upstream.exchanges).to.have.length(4);
  });

  const unrepeatable: readonly (readonly [string, (stage: MemoryStage) => void])[] = [
    ['on a fresh connection', ({ client }) => void client.request()],
    [
      'of a method that is not idempotent',
      ({ client, upstream }) => {
        upstream.reuses = true;
        client.request({ method: 'POST' });
      },
    ],
    [
      'with a body',
      ({ client, upstream }) => {
        upstream.reuses = true;
        client.request({ method: 'PUT', body: 2 }).send('ab').endBody();
      },
    ],
  ];
  for (const [name, send] of unrepeatable) {
    it(`does not send a request again: ${name}`, () => {
      const stage = memoryStage();
      send(stage);
      stage.upstream.last.fail('termination');
      expect(stage.upstream.exchanges).to.have.length(1);
      expect(stage.client.response).to.include({ status: 503 });
      expect(stage.records[0]).to.include({ details: TERMINATION });
    });
  }

  it('does not send a request again once the response has begun, and drops the client', async () => {
    const { client, upstream, records } = memoryStage();
    upstream.reuses = true;
    client.request();
    upstream.last.respond(200).send('half').fail('termination');
    await turn();
    expect(client.response).to.include({ status: 200, body: 'half', ended: 'reset' });
    expect(upstream.exchanges).to.have.length(1);
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ status: 200, details: 'upstream_reset_after_response_started{connection_termination}' });
  });
});

describe('exchange: clients that leave or break off', () => {
  it('drops the upstream when the client leaves', () => {
    const { client, upstream, records } = memoryStage();
    client.request();
    upstream.last.respond(200).send('x');
    client.disconnect();
    expect(upstream.last.wasReset).to.equal(true);
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ status: 200, details: 'downstream_remote_disconnect' });
  });

  it('drops the upstream and replies when the body turns out malformed before the response', () => {
    const { client, upstream, records } = memoryStage();
    client.request({ method: 'POST', body: 9 }).send('abc');
    client.fault({ kind: 'reply', status: 400, body: 'Bad Request', headers: [], close: true, details: 'http1.codec_error' });
    expect(upstream.last.wasReset).to.equal(true);
    expect(client.response).to.include({ status: 400, ended: 'reply' });
    expect(records.map((record) => record.details)).to.deep.equal(['http1.codec_error']);
  });

  it('drops both sides when the body turns out malformed within the response', async () => {
    const { client, upstream, records } = memoryStage();
    client.request({ method: 'POST', body: 9 }).send('abc');
    upstream.last.respond(200);
    client.fault({ kind: 'reply', status: 400, body: 'Bad Request', headers: [], close: true, details: 'http1.codec_error' });
    await turn();
    expect(upstream.last.wasReset).to.equal(true);
    expect(client.response).to.include({ status: 200, ended: 'reset' });
    expect(records).to.have.length(1);
  });
});

describe('exchange: backpressure', () => {
  it('pauses the upstream while the client does not read', () => {
    const { client, upstream } = memoryStage();
    client.request();
    client.stalled = true;
    upstream.last.respond(200).send('x');
    expect(upstream.last.paused).to.equal(true);
    client.drain();
    expect(upstream.last.paused).to.equal(false);
  });

  it('pauses the client while the upstream does not read', () => {
    const { client, upstream } = memoryStage();
    client.request({ method: 'POST', body: 9 });
    upstream.last.stalled = true;
    client.send('abc');
    expect(client.paused).to.equal(true);
    upstream.last.drain();
    expect(client.paused).to.equal(false);
  });
});

describe('exchange: upgrades', () => {
  const upgrade = (stage: MemoryStage): MemoryStage => {
    stage.client.request({ headers: ['host', 'a', 'upgrade', 'websocket'] });
    return stage;
  };

  it('keeps early bytes back until the upstream accepts, then passes bytes both ways', () => {
    const { client, upstream, records } = upgrade(memoryStage());
    client.send('early');
    expect(upstream.last.body).to.equal('');
    upstream.last.respond(101).send('hi');
    client.send('more');
    expect(upstream.last.body).to.equal('earlymore');
    expect(client.response).to.deep.include({ status: 101, body: 'hi', headers: ['upgrade', 'websocket'] });

    client.endBody();
    expect(upstream.last.ended).to.equal(true);
    upstream.last.finish();
    expect(client.response.ended).to.equal('end');
    expect(records).to.deep.equal([]);
    client.disconnect();
    expect(records).to.have.length(1);
    expect(records[0]).to.include({ status: 101, details: '' });
  });

  it('passes a refusal on like any response', () => {
    const { client, upstream, records } = upgrade(memoryStage());
    client.send('early');
    upstream.last.respond(403).send('no').finish();
    expect(client.response).to.include({ status: 403, body: 'no', ended: 'end' });
    expect(upstream.last.body).to.equal('');
    expect(records[0]).to.include({ status: 403, details: '' });
  });

  it('closes the client when the upstream breaks off', () => {
    const { client, upstream } = upgrade(memoryStage());
    upstream.last.respond(101).fail('termination');
    expect(client.response.ended).to.equal('close');
  });
});
