/*
 * The access log: the shape of a line, what is sampled, and that nothing is lost or bent on the way to the file.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ExchangeRecord } from '../../../../src/agent/exchange/exchange-record.ts';
import { accessLine, connectionLine } from '../../../../src/agent/log/access-line.ts';
import { AccessLog } from '../../../../src/agent/log/access-log.ts';
import { type Clock, systemClock } from '../../../../src/clock.ts';
import type { VerdictLog } from '../../../../src/filters/verdict.ts';
import { LineWriter, LOST_LINES } from '../../../../src/telemetry/line-writer.ts';
import { openLogSink } from '../../../../src/telemetry/log-sink.ts';

const clock: Clock = { ...systemClock, nowMs: () => 12.5, wallMs: () => Date.UTC(2026, 10, 23) };
const allowed: VerdictLog = { outcome: 'allow', details: '', host: 'a:80', path: '/p', principal: 'i/s' };
const record = (over: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  protocol: '1.1',
  method: 'GET',
  path: '/p',
  status: 200,
  startMs: 10,
  evaluatedMs: 11,
  requestId: 'id',
  headers: [],
  sourceIp: '10.0.0.9',
  destinationPort: 8080,
  tls: undefined,
  verdict: allowed,
  details: '',
  digest: 'sha256:d',
  ...over,
});
const parsed = (over: Partial<ExchangeRecord> = {}): Record<string, unknown> =>
  JSON.parse(accessLine(record(over), clock)) as Record<string, unknown>;

describe('access log line', () => {
  it('logs who was decided how', () => {
    expect(parsed()).to.deep.equal({
      time: '2026-11-23T00:00:00.000Z',
      component: 'access',
      message: 'request',
      decision: 'allow',
      'http.request.method': 'GET',
      'url.path': '/p',
      'server.address': 'a:80',
      'server.port': 8080,
      'http.response.status_code': 200,
      duration_ms: 2.5,
      'client.address': '10.0.0.9',
      request_id: 'id',
      details: '',
      principal: 'i/s',
      digest: 'sha256:d',
    });
  });

  it('has the values of the request at hand, whichever of them the line before had', () => {
    const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'one', generation: 2, rule: 1 } as const;
    const decidedBy = (over: object): Partial<ExchangeRecord> => {
      const rule = { id: 'x', source: { ...source, ...over }, from: [], to: [], when: [] };
      return { verdict: { ...allowed, decision: { allowed: true, reason: 'allow-rule', rule } } };
    };
    const others: readonly (readonly [over: Partial<ExchangeRecord>, fields: object])[] = [
      [{ method: 'PUT' }, { 'http.request.method': 'PUT' }],
      [{ verdict: { ...allowed, outcome: 'deny' } }, { decision: 'deny' }],
      [{ verdict: { ...allowed, host: 'b' } }, { 'server.address': 'b' }],
      [{ destinationPort: 8081 }, { 'server.port': 8081 }],
      [{ sourceIp: '10.0.0.8' }, { 'client.address': '10.0.0.8' }],
      [{ details: 'why' }, { details: 'why' }],
      [{ verdict: { ...allowed, principal: 'i/t' } }, { principal: 'i/t' }],
      [{ digest: 'sha256:e' }, { digest: 'sha256:e' }],
      [decidedBy({}), { policy: 'foo/one', rule: 1 }],
      [decidedBy({ rule: 2 }), { policy: 'foo/one', rule: 2 }],
      [decidedBy({ name: 'two' }), { policy: 'foo/two', rule: 1 }],
      [decidedBy({ namespace: 'bar' }), { policy: 'bar/one', rule: 1 }],
    ];
    const first = parsed();
    for (const [over, fields] of others) {
      expect(parsed(over)).to.include(fields);
      expect(parsed()).to.deep.equal(first);
    }
  });

  it('has the time of the request at hand', () => {
    const times = [0, 7, 7, 42, 999, 1000, 7].map((ms) => Date.UTC(2026, 10, 23) + ms);
    const logged = times.map((ms) => JSON.parse(accessLine(record(), { ...clock, wallMs: () => ms })) as { readonly time: string });

    expect(logged.map(({ time }) => time)).to.deep.equal(times.map((ms) => new Date(ms).toISOString()));
  });

  it('says why an exchange was revoked', () => {
    const line = parsed({ status: 101, revoked: 'token-expired', verdict: { ...allowed, outcome: 'unauthenticated' } });
    expect(line).to.include({ decision: 'unauthenticated', revoked: 'token-expired', 'http.response.status_code': 101 });
  });

  it('names the policy and rule that decided, and what dry runs would have done', () => {
    const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'ap', generation: 2, rule: 1 } as const;
    const rule = { id: 'x', source, from: [], to: [], when: [] };
    const line = parsed({
      status: 403,
      verdict: {
        ...allowed,
        outcome: 'deny',
        decision: { allowed: false, reason: 'deny-rule', rule, dryRunAllow: { allowed: true }, dryRunDeny: { allowed: false, rule } },
      },
    });
    expect(line).to.include({
      decision: 'deny',
      policy: 'foo/ap',
      rule: 1,
      reason: 'deny-rule',
      'dry_run.allow': true,
      'dry_run.deny': true,
    });
  });

  it('of a TCP connection has its server name if the client sent one', () => {
    const facts = { sourceIp: '10.0.0.9', destinationIp: '10.1.0.1', destinationPort: 5432, sni: '', tls: false };
    const lineOf = (sni: string): object => {
      const connection = { outcome: 'allow', details: '', digest: 'sha256:d', startMs: 0, received: 1, sent: 2 } as const;
      return JSON.parse(connectionLine({ facts: { ...facts, sni }, ...connection }, clock)) as object;
    };
    expect(lineOf('db.example')).to.include({
      message: 'connection',
      decision: 'allow',
      'network.transport': 'tcp',
      'server.address': '10.1.0.1',
      'server.port': 5432,
      'tls.client.server_name': 'db.example',
      'client.address': '10.0.0.9',
      received_bytes: 1,
      sent_bytes: 2,
    });
    expect(lineOf('')).to.not.have.property('tls.client.server_name');
  });

  it('has the address behind proxies, the identity of the client and gRPC where there is one', () => {
    const peer = 'spiffe://cluster.local/ns/web/sa/front';
    expect(parsed({ verdict: { ...allowed, remoteIp: '203.0.113.9', peer: { uri: peer, grade: 'pod-ip' }, isGrpc: true } })).to.include({
      'client.address': '10.0.0.9',
      'remote.ip': '203.0.113.9',
      'source.principal': peer,
      'source.identity': 'pod-ip',
      'rpc.system': 'grpc',
    });
    expect(parsed({ verdict: { ...allowed, remoteIp: '10.0.0.9', isGrpc: false } })).not.to.have.any.keys(
      'remote.ip',
      'source.principal',
      'source.identity',
      'rpc.system',
    );
  });

  it('names the rule that refused a token', () => {
    const jwtRule = { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: 0 } as const;
    expect(parsed({ verdict: { ...allowed, outcome: 'unauthenticated', jwtRule } })).to.include({ policy: 'foo/ra', rule: 0 });
  });

  it('names the rule that refused the audience of a token, and the CUSTOM rule whose authorizer denied', () => {
    const jwtRule = { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: 2 } as const;
    expect(parsed({ verdict: { ...allowed, outcome: 'deny', jwtRule } })).to.include({ policy: 'foo/ra', rule: 2 });
    const customRule = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'ext', generation: 1, rule: 1 } as const;
    expect(parsed({ verdict: { ...allowed, outcome: 'deny', customRule } })).to.include({ policy: 'foo/ext', rule: 1 });
  });

  it('does not name the rule of an accepted token as the one that decided', () => {
    const jwtRule = { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: 0 } as const;
    const decision = { allowed: false, reason: 'no-allow-rule-matched' } as const;
    expect(parsed({ verdict: { ...allowed, outcome: 'deny', jwtRule, decision } })).not.to.have.property('policy');
    expect(parsed({ verdict: { ...allowed, jwtRule } })).not.to.have.property('policy');
  });

  it('names the nearest rule and its failing clause when no rule matched', () => {
    const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'ap', generation: 2, rule: 3 } as const;
    const decision = { allowed: false, reason: 'no-allow-rule-matched' } as const;
    const nearMiss = { source, clause: 'when[0] request.auth.claims["\u00e9"]', failing: 2 };
    const line = parsed({ status: 403, verdict: { ...allowed, outcome: 'deny', decision, nearMiss } });
    expect(line).to.include({
      'nearest.policy': 'foo/ap',
      'nearest.rule': 3,
      'nearest.clause': 'when[0] request.auth.claims["\u00e9"]',
      'nearest.failing': 2,
    });
    expect(line).not.to.have.property('policy');
  });

  it('does not call a request allowed that its client gave up before a verdict', () => {
    const undecided = { ...allowed, outcome: 'none', principal: '' } as const;
    expect(parsed({ verdict: undecided, status: 0, details: 'downstream_remote_disconnect' })).to.include({ decision: 'none' });
    expect(parsed({ verdict: undefined, status: 0, details: 'downstream_remote_disconnect' })).to.include({ decision: 'none' });
    expect(parsed({ verdict: undecided, status: 408, details: 'request_timeout' })).to.include({ decision: 'reject' });
  });

  it('distinguishes requests that the codec refused from requests before the first bundle', () => {
    expect(parsed({ verdict: undefined, status: 400, details: 'http1.codec_error' })).to.include({ decision: 'reject' });
    expect(parsed({ verdict: undefined, status: 503, details: 'no_policy_bundle' })).to.include({ decision: 'closed' });
    expect(parsed({ verdict: undefined, status: 503, details: 'no_policy_for_labels' })).to.include({ decision: 'closed' });
  });

  it('drops queries and stays one line of ASCII whatever the input', () => {
    const nasty = '/\u0000"\\\n\r\u2028\u00e9\ud800</script>';
    const text = accessLine(record({ path: `${nasty}?token=secret#x`, requestId: nasty, verdict: undefined, sourceIp: nasty }), clock);
    expect(text).to.match(/^[\x20-\x7e]+\n$/);
    expect(text).not.to.match(/secret/);
    expect(JSON.parse(text)).to.include({ 'url.path': nasty, request_id: nasty });
  });

  it('truncates very long fields', () => {
    expect(
      accessLine(record({ path: `/${'a'.repeat(100_000)}`, requestId: '"'.repeat(100_000), verdict: undefined }), clock).length,
    ).to.be.lessThan(20_000);
  });
});

describe('access log', () => {
  let dir = '';
  let fd = -1;
  let lostBefore = 0;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
    fd = openSync(join(dir, 'log'), 'a');
    lostBefore = LOST_LINES.access;
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });
  const open = (allowSampleRate: number, random = () => 0.5): AccessLog =>
    new AccessLog({ writer: new LineWriter(openLogSink(fd)), clock, allowSampleRate, random });
  const lines = (): Record<string, unknown>[] =>
    readFileSync(join(dir, 'log'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('writes every line once and in order, over many buffers', async () => {
    const log = open(1);
    for (let at = 0; at < 3000; at += 1) {
      log.add(record({ requestId: String(at), verdict: { ...allowed, outcome: 'deny' } }));
      if (at % 300 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await log.close();
    expect(lines().map((line) => line['request_id'])).to.deep.equal(Array.from({ length: 3000 }, (_, at) => String(at)));
    expect(LOST_LINES.access).to.equal(lostBefore);
  });

  it('samples allowed requests only', async () => {
    const log = open(0.25);
    log.add(record());
    log.add(record({ verdict: { ...allowed, outcome: 'deny' }, status: 403 }));
    log.add(record({ verdict: undefined, status: 400 }));
    await log.close();
    expect(lines().map((line) => line['decision'])).to.deep.equal(['deny', 'reject']);
  });

  it('drops allowed requests before others when the reader does not keep up, and counts them', async () => {
    const log = open(1);
    const deny = record({ verdict: { ...allowed, outcome: 'deny' }, status: 403, requestId: 'kept' });
    for (let at = 0; at < 5000; at += 1) log.add(record());
    for (let at = 0; at < 5; at += 1) log.add(deny);
    await log.close();
    expect(LOST_LINES.access).to.be.greaterThan(lostBefore);
    expect(lines().filter((line) => line['request_id'] === 'kept')).to.have.length(5);
  });

  it('closes immediately when there is nothing to write', async () => {
    await open(1).close();
    expect(lines()).to.deep.equal([]);
  });
});
