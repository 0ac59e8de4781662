import { expect } from 'chai';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import type { RawRequest } from '../../../src/http/heads.ts';
import type { Program } from '../../../src/policy/model/program.ts';
import { NOW } from '../jwt/tokens.ts';
import { allow, deny, filterChainOf, paths, programOf, raw, verdictOf } from './chains.ts';

const DENIED = { status: 403, body: 'RBAC: access denied', headers: ['content-type', 'text/plain'] };
const GRPC = ['content-type', 'application/grpc'];

describe('a filter chain', () => {
  it('forwards the head that policies saw when there are no policies', () => {
    const verdict = verdictOf(
      'forward',
      filterChainOf([]),
      raw('/a/../b?x=%41#f', ['X-Header', '1', 'Connection', 'X-Gone', 'X-Gone', '2']),
    );

    expect(verdict.head).to.deep.equal({
      method: 'GET',
      target: '/b?x=%41',
      host: 'app.foo:8000',
      headers: ['x-header', '1', 'x-forwarded-proto', 'http'],
      upgrade: '',
    });
    expect(verdict.log).to.deep.include({ outcome: 'allow', details: '', host: 'app.foo:8000', path: '/b', principal: '' });
  });

  it('denies by the first rule in byte order and names it only in the log', () => {
    const filterChain = filterChainOf([deny('b', paths('/b')), deny('a', paths('/a'), paths('/b')), allow('c', {})]);
    const verdict = verdictOf('reply', filterChain, raw('/b'));

    expect(verdict).to.deep.include({ ...DENIED, close: false });
    expect(verdict.log).to.deep.include({
      outcome: 'deny',
      details: 'rbac_access_denied_matched_policy[ns[foo]-policy[a]-rule[1]]',
      path: '/b',
    });
    expect(verdict.log.decision?.reason).to.equal('deny-rule');
    expect(JSON.stringify([verdict.body, verdict.headers])).to.not.contain('policy');
  });

  it('denies when no ALLOW rule matches', () => {
    const filterChain = filterChainOf([allow('a', paths('/ok'))]);

    verdictOf('forward', filterChain, raw('/ok'));
    expect(verdictOf('reply', filterChain, raw('/no')).log.details).to.equal('rbac_access_denied_matched_policy[none]');
  });

  it('closes the connection when the body of a refused request is still to come, over HTTP/1 only', () => {
    const filterChain = filterChainOf([deny('a', {})]);
    const body = { method: 'POST', hasBody: true } as const;

    expect(verdictOf('reply', filterChain, raw('/', [], body)).close).to.equal(true);
    expect(verdictOf('reply', filterChain, raw('/', [], { ...body, version: '2', headers: [], authority: 'a' })).close).to.equal(false);
  });

  for (const [name, request] of [
    ['CONNECT', raw('a:80', [], { method: 'CONNECT' })],
    ['a request of an empty protocol', raw('/', ['X-Forwarded-Proto', ''])],
    ['an upgrade in an empty protocol', raw('/', ['X-Forwarded-Proto', '', 'Connection', 'upgrade', 'Upgrade', 'foo'])],
  ] as const) {
    it(`replies 404 to ${name}, after the policies allow it`, () => {
      const { status, body, log } = verdictOf('reply', filterChainOf([]), request);
      expect({ status, body }).to.deep.equal({ status: 404, body: '' });
      expect(log).to.include({ outcome: 'reject', details: 'route_not_found' });
      expect(verdictOf('reply', filterChainOf([deny('a', {})]), request)).to.include({ status: 403 });
    });
  }

  it('reports an unsupported upgrade as denied', () => {
    const { status, log } = verdictOf('reply', filterChainOf([]), raw('/', ['Connection', 'upgrade', 'Upgrade', 'foo']));
    expect({ status, outcome: log.outcome }).to.deep.equal({ status: 403, outcome: 'deny' });
  });

  for (const [name, request, status, details] of [
    ['no Host', raw('/', [], { headers: [] }), 400, 'missing_host_header'],
    ['a path with NUL', raw('/%00'), 400, 'path_normalization_failed'],
    ['an unknown method', raw('/', [], { method: 'get' }), 400, 'http1.codec_error'],
  ] as const) {
    it(`rejects ${name} before any policy`, () => {
      const verdict = verdictOf('reply', filterChainOf([deny('a', {})]), request);

      expect(verdict.status).to.equal(status);
      expect(verdict.log).to.deep.include({ outcome: 'reject', details });
    });
  }

  it('shows policies the request id that the codec generated, and forwards it', () => {
    const filterChain = filterChainOf([allow('a', { when: [{ key: 'request.headers[x-request-id]', values: ['id-*'] }] })]);

    expect(verdictOf('forward', filterChain, raw('/', [], { requestId: 'id-1' })).head.headers).to.include('id-1');
    verdictOf('reply', filterChain, raw('/'));
  });

  it('denies and reports the exception when a filter throws', () => {
    const bugs: unknown[] = [];
    const program = programOf([allow('a', {})]);
    const broken = { ...program, http: { ...program.http, custom: undefined } } as unknown as Program;
    const filterChain = createFilterChain(program, {}, { onBug: (error) => bugs.push(error) });
    const request = raw('/');
    const poisoned = {
      ...request,
      get headers(): readonly string[] {
        throw new Error('bug');
      },
    };
    const verdict = filterChain.evaluate(poisoned, NOW);

    expect(verdict).to.deep.include({ kind: 'reply', status: 403, body: 'RBAC: access denied' });
    expect(verdict.log).to.deep.include({ outcome: 'deny', details: 'internal_error' });
    expect(filterChain.evaluateConnection(undefined as never)).to.deep.equal({ kind: 'deny', details: 'internal_error' });
    expect(bugs).to.have.length(2);
    expect(() => createFilterChain(broken, {})).to.throw();
  });

  it('denies in plain HTTP when a filter throws, without a body to HEAD, and closes before a body', () => {
    const filterChain = createFilterChain(programOf([allow('a', {})]), {});
    // Only the codec's own fields are read before and after the bug.
    const buggy = (over: Partial<RawRequest>): RawRequest => ({
      ...raw('/', [], over),
      get headers(): readonly string[] {
        throw new Error('bug');
      },
    });
    const replied = (over: Partial<RawRequest>) => verdictOf('reply', filterChain, buggy(over));

    expect(replied({})).to.deep.include({ ...DENIED, close: false, details: 'internal_error' });
    expect(replied({ method: 'HEAD' })).to.deep.include(DENIED);
    expect(replied({ method: 'POST', hasBody: true }).close).to.equal(true);
    expect(replied({}).log).to.deep.equal({ outcome: 'deny', details: 'internal_error', host: '', path: '', principal: '' });
  });

  it('logs host and path of what normalization refuses, and no principal', () => {
    const http2 = { version: '2', headers: [], authority: 'app' } as const;

    expect(verdictOf('reply', filterChainOf([]), raw('/a%00?b', [], http2)).log).to.deep.equal({
      outcome: 'reject',
      details: 'path_normalization_failed',
      host: 'app',
      path: '/a%00',
      principal: '',
    });
    expect(verdictOf('reply', filterChainOf([]), raw('/%00')).log.host).to.equal('');
  });

  it('closes the connection when it refuses a request whose body is still to come', () => {
    const asterisk = { method: 'OPTIONS' } as const;

    expect(verdictOf('reply', filterChainOf([]), raw('*', [], { ...asterisk, hasBody: true }))).to.include({ status: 404, close: true });
    expect(verdictOf('reply', filterChainOf([]), raw('*', [], asterisk))).to.include({ status: 404, close: false });
  });

  it('accepts only zones of known interfaces in X-Forwarded-For, by default that of loopback', () => {
    const remoteIp = (zone: string, interfaces?: ReadonlySet<string>) =>
      verdictOf(
        'forward',
        filterChainOf([], interfaces === undefined ? {} : { interfaces }),
        raw('/', ['X-Forwarded-For', `fe80::1%${zone}`]),
      ).log.remoteIp;

    expect(remoteIp('lo')).to.equal('fe80::1');
    expect(remoteIp('eth7')).to.equal('10.0.0.9');
    expect(remoteIp('eth7', new Set(['eth7']))).to.equal('fe80::1');
  });
});

describe('replies of a filter chain to gRPC', () => {
  it('have the form of gRPC when the request was understood as a call', () => {
    const call = (host: string, over: object = {}) => raw('/', [], { headers: ['Host', host, ...GRPC], ...over });
    expect(verdictOf('reply', filterChainOf([]), call('a?b'))).to.include({ status: 400, body: 'Bad Request' });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('a'))).to.include({ status: 200, body: '' });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('a', { method: 'CONNECT', target: 'a:80' }))).to.include({
      status: 403,
    });
  });

  it('have no message when the method is HEAD', () => {
    const call = (method: string) => raw('/', GRPC, { method });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('GET')).headers).to.include('grpc-message');
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('HEAD')).headers).to.deep.equal([...GRPC, 'grpc-status', '7']);
  });

  it('have the form of gRPC when normalization refuses the request', () => {
    const verdict = verdictOf('reply', filterChainOf([]), raw('/%00', ['Content-Type', 'application/grpc']));

    expect(verdict).to.deep.include({ status: 200, body: '', headers: [...GRPC, 'grpc-status', '13'] });
  });

  it('are plain when the codec refuses the request', () => {
    const verdict = verdictOf('reply', filterChainOf([]), raw('/', ['Host', 'a?b', 'Content-Type', 'application/grpc']));

    expect(verdict).to.deep.include({ status: 400, body: 'Bad Request', headers: ['content-type', 'text/plain'] });
  });

  it('have the form of gRPC when a policy denies the request', () => {
    for (const type of ['application/grpc', 'application/grpc+proto']) {
      const verdict = verdictOf('reply', filterChainOf([deny('a', {})]), raw('/', ['content-type', type]));
      expect(verdict).to.deep.include({
        status: 200,
        body: '',
        headers: [...GRPC, 'grpc-status', '7', 'grpc-message', 'RBAC: access denied'],
      });
    }
    for (const type of ['application/grpc-web', 'application/grpcx', 'Application/grpc', 'text/plain']) {
      expect(verdictOf('reply', filterChainOf([deny('a', {})]), raw('/', ['content-type', type])).status, type).to.equal(403);
    }
  });
});
