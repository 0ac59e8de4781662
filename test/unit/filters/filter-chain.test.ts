import { expect } from 'chai';
import { checkDenied, checkFailed } from '../../../src/filters/check-response.ts';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import type { Program } from '../../../src/policy/model/program.ts';
import { ISSUER, makeKey, NOW, type SigningKey, sign } from '../jwt/tokens.ts';
import { allow, authorizer, custom, deny, expectKind, filterChainOf, paths, policy, programOf, raw, verdictOf } from './trials.ts';

const DENIED = { status: 403, body: 'RBAC: access denied', headers: ['content-type', 'text/plain'] };
const GRPC = ['content-type', 'application/grpc'];

describe('judge', () => {
  it('forwards everything without policies, as it was judged', () => {
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

  it('denies by the first rule in byte order, and names it in the log alone', () => {
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

  it('denies what no ALLOW rule matches', () => {
    const filterChain = filterChainOf([allow('a', paths('/ok'))]);

    verdictOf('forward', filterChain, raw('/ok'));
    expect(verdictOf('reply', filterChain, raw('/no')).log.details).to.equal('rbac_access_denied_matched_policy[none]');
  });

  it('closes the connection of a refused request whose body is on its way, but over HTTP/1 only', () => {
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
    it(`has no route for ${name}, which policies judge all the same`, () => {
      const { status, body, log } = verdictOf('reply', filterChainOf([]), request);
      expect({ status, body }).to.deep.equal({ status: 404, body: '' });
      expect(log).to.include({ outcome: 'reject', details: 'route_not_found' });
      expect(verdictOf('reply', filterChainOf([deny('a', {})]), request)).to.include({ status: 403 });
    });
  }

  it('asks no authorizer about a request that has no route', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh: { extensionProviders: [authorizer('ext')] } });
    expect(filterChain.evaluate(raw('/'), NOW).kind).to.equal('check');
    const tunnel = raw('a:80', [], { method: 'CONNECT' });
    expect(verdictOf('reply', filterChain, tunnel)).to.include({ status: 404 });
    expect(verdictOf('reply', filterChainOf([custom('c', 'nowhere', {})]), tunnel)).to.include({ status: 403 });
  });

  it('answers gRPC only where a call was understood as one', () => {
    const call = (host: string, over: object = {}) => raw('/', [], { headers: ['Host', host, ...GRPC], ...over });
    expect(verdictOf('reply', filterChainOf([]), call('a?b'))).to.include({ status: 400, body: 'Bad Request' });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('a'))).to.include({ status: 200, body: '' });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('a', { method: 'CONNECT', target: 'a:80' }))).to.include({
      status: 403,
    });
  });

  it('says no message of gRPC in answer to HEAD', () => {
    const call = (method: string) => raw('/', GRPC, { method });
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('GET')).headers).to.include('grpc-message');
    expect(verdictOf('reply', filterChainOf([deny('a', {})]), call('HEAD')).headers).to.deep.equal([...GRPC, 'grpc-status', '7']);
  });

  it('calls an upgrade that it refuses denied', () => {
    const { status, log } = verdictOf('reply', filterChainOf([]), raw('/', ['Connection', 'upgrade', 'Upgrade', 'foo']));
    expect({ status, outcome: log.outcome }).to.deep.equal({ status: 403, outcome: 'deny' });
  });

  for (const [name, request, status, details] of [
    ['no Host', raw('/', [], { headers: [] }), 400, 'missing_host_header'],
    ['a path with NUL', raw('/%00'), 400, 'path_normalization_failed'],
    ['a strange method', raw('/', [], { method: 'get' }), 400, 'http1.codec_error'],
  ] as const) {
    it(`rejects ${name} before any policy`, () => {
      const verdict = verdictOf('reply', filterChainOf([deny('a', {})]), request);

      expect(verdict.status).to.equal(status);
      expect(verdict.log).to.deep.include({ outcome: 'reject', details });
    });
  }

  it('rejects gRPC in the form of gRPC', () => {
    const verdict = verdictOf('reply', filterChainOf([]), raw('/%00', ['Content-Type', 'application/grpc']));

    expect(verdict).to.deep.include({ status: 200, body: '', headers: [...GRPC, 'grpc-status', '13'] });
  });

  it('rejects gRPC in plain where the codec does, before it knows of gRPC', () => {
    const verdict = verdictOf('reply', filterChainOf([]), raw('/', ['Host', 'a?b', 'Content-Type', 'application/grpc']));

    expect(verdict).to.deep.include({ status: 400, body: 'Bad Request', headers: ['content-type', 'text/plain'] });
  });

  it('denies gRPC in the form of gRPC', () => {
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

  it('shows policies the id that the codec made, and forwards it', () => {
    const filterChain = filterChainOf([allow('a', { when: [{ key: 'request.headers[x-request-id]', values: ['id-*'] }] })]);

    expect(verdictOf('forward', filterChain, raw('/', [], { requestId: 'id-1' })).head.headers).to.include('id-1');
    verdictOf('reply', filterChain, raw('/'));
  });

  describe('with tokens', () => {
    let key: SigningKey;
    let token: string;
    const rule = { issuer: ISSUER, jwks: 'unused', outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }] };
    const authentication = policy('RequestAuthentication', 'ra', { jwtRules: [rule] });
    const principal = (value: string): object => ({ from: [{ source: { requestPrincipals: [value] } }] });
    const judgeWith = (...policies: readonly object[]) =>
      filterChainOf([authentication, ...policies], { keys: { source: 'inline', keys: [key.publicKey] } });
    const bearer = (text: string): string[] => ['Authorization', `Bearer ${text}`];

    before(async () => {
      key = await makeKey('ES256');
      token = await sign(key, { scope: 'read write' });
    });

    it('knows who asks, takes the token away, and says so in the log', () => {
      const filterChain = judgeWith(allow('a', principal(`${ISSUER}/me`)));
      const verdict = verdictOf('forward', filterChain, raw('/', bearer(token)));

      expect(verdict.head.headers).to.deep.equal(['x-forwarded-proto', 'http', 'x-sub', 'me']);
      expect(verdict.log).to.deep.include({
        principal: `${ISSUER}/me`,
        jwtRule: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 0, rule: 0 },
      });
      expect(verdictOf('reply', filterChain, raw('/')).log).to.deep.include({ outcome: 'deny', principal: '' });
    });

    it('sends nothing upstream that a claim would cut in two, after policies have seen it', async () => {
      const split = bearer(await sign(key, { sub: 'a\r\nx-admin: yes' }));
      const filterChain = judgeWith(
        deny('d', { to: [{ operation: { paths: ['/d'] } }], when: [{ key: 'request.headers[x-sub]', values: ['a*'] }] }),
      );
      const { log, ...verdict } = verdictOf('reply', filterChain, raw('/', split));

      expect(verdict).to.deep.include({ status: 503, body: 'invalid header value for: x-sub' });
      expect(log).to.deep.include({
        outcome: 'reject',
        details: 'filter_removed_required_request_headers{invalid_header_value_for:_x-sub}',
      });
      expect(verdictOf('reply', filterChain, raw('/d', split)).status).to.equal(403);
    });

    it('lets policies see the request after the token was taken out', () => {
      const present = (header: string): object => ({ when: [{ key: `request.headers[${header}]`, values: ['*'] }] });

      verdictOf('reply', judgeWith(allow('a', present('authorization'))), raw('/', bearer(token)));
      verdictOf('forward', judgeWith(allow('a', present('x-sub'))), raw('/', bearer(token)));
      verdictOf('reply', judgeWith(allow('a', present('x-sub'))), raw('/', ['x-sub', 'forged']));
    });

    it('matches space-delimited claims word by word', () => {
      const scope = (value: string): object => allow('a', { when: [{ key: 'request.auth.claims[scope]', values: [value] }] });

      verdictOf('forward', judgeWith(scope('write')), raw('/', bearer(token)));
      verdictOf('reply', judgeWith(scope('read write')), raw('/', bearer(token)));
    });

    it('answers a bad token with 401, before any policy that would allow or deny', () => {
      for (const authorization of [allow('a', {}), deny('a', {})]) {
        const verdict = verdictOf('reply', judgeWith(authorization), raw('/x?y=1', bearer('invalidToken')));

        expect(verdict).to.deep.include({
          status: 401,
          body: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
          headers: ['www-authenticate', 'Bearer realm="http://app.foo:8000/x?y=1", error="invalid_token"', 'content-type', 'text/plain'],
        });
        expect(verdict.log).to.deep.include({ outcome: 'unauthenticated', principal: '' });
        expect(verdict.log.jwtRule?.name).to.equal('ra');
      }
    });

    it('answers gRPC with status 16', () => {
      const verdict = verdictOf('reply', judgeWith(), raw('/', ['content-type', 'application/grpc', ...bearer('a.b')]));

      expect(verdict.status).to.equal(200);
      expect(verdict.headers).to.include.members(['www-authenticate', 'grpc-status', '16']);
    });

    it('asks external authorizers before it looks at tokens', () => {
      const filterChain = filterChainOf([authentication, custom('c', 'ext', {})], { mesh: { extensionProviders: [authorizer('ext')] } });
      const verdict = verdictOf('check', filterChain, raw('/', bearer('junk')));

      expect(verdict.request.headers).to.include('Bearer junk');
      expect(expectKind('reply', verdict.resume({ kind: 'allow', setHeaders: [], removeHeaders: [] })).status).to.equal(401);
    });
  });

  describe('with external authorizers', () => {
    const mesh = { extensionProviders: [authorizer('ext'), authorizer('two', 'http')], multipleCustomProviders: true };
    const consent = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;

    it('asks only for what matches', () => {
      const filterChain = filterChainOf([custom('c', 'ext', paths('/c'))], { mesh });

      verdictOf('forward', filterChain, raw('/x'));
      const verdict = verdictOf('check', filterChain, raw('/c'));
      expect(`${verdict.provider.name} ${verdict.rule.source.name}`).to.equal('ext c');
      expect(verdict.request.target).to.equal('/c');
    });

    it('goes on with the other policies after consent', () => {
      const filterChain = filterChainOf([custom('c', 'ext', {}), deny('d', paths('/d'))], { mesh });

      expectKind('forward', verdictOf('check', filterChain, raw('/c')).resume(consent));
      expect(expectKind('reply', verdictOf('check', filterChain, raw('/d')).resume(consent)).log.details).to.contain('policy[d]');
    });

    it('sets and removes the headers it is told to, for policies and application alike, but neither host nor path', () => {
      const filterChain = filterChainOf(
        [custom('c', 'ext', {}), allow('a', { when: [{ key: 'request.headers[x-user]', values: ['me'] }] })],
        { mesh },
      );
      const verdict = verdictOf('check', filterChain, raw('/c', ['X-User', 'forged', 'X-Gone', '1', 'X-User', 'again']));
      const forwarded = expectKind(
        'forward',
        verdict.resume({
          kind: 'allow',
          setHeaders: ['X-User', 'me', ':path', '/evil', 'Host', 'evil'],
          removeHeaders: ['X-Gone', 'host'],
        }),
      );

      expect(forwarded.head).to.deep.include({
        target: '/c',
        host: 'app.foo:8000',
        headers: ['x-forwarded-proto', 'http', 'x-user', 'me'],
      });
    });

    it('replies with what a refusing authorizer says', () => {
      const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh });
      const refusal = checkDenied(302, '', ['location', '/login']);
      const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(refusal));

      expect(verdict).to.deep.include({ status: 302, body: '', headers: ['location', '/login'] });
      expect(verdict.log).to.deep.include({ outcome: 'deny', details: 'ext_authz_denied' });
      const typed = { ...refusal, body: '{}', headers: ['content-type', 'application/json'] };
      expect(expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(typed)).headers).to.deep.equal(typed.headers);
      expect(
        expectKind('reply', verdictOf('check', filterChain, raw('/')).resume({ ...refusal, body: 'no', headers: [] })).headers,
      ).to.deep.equal(DENIED.headers);
    });

    it('puts the refusal of a gRPC call into the form of gRPC', () => {
      const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh });
      const verdict = verdictOf('check', filterChain, raw('/', ['content-type', 'application/grpc']));
      const refusal = checkDenied(403, 'no', ['content-type', 'text/plain', 'x-why', 'so']);

      expect(expectKind('reply', verdict.resume(refusal))).to.deep.include({
        status: 200,
        body: '',
        headers: [...GRPC, 'x-why', 'so', 'grpc-status', '7', 'grpc-message', 'no'],
      });
    });

    it('replies with the status on error when no answer came', () => {
      const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh });
      const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(checkFailed(503)));

      expect(verdict).to.deep.include({ status: 503, body: '', headers: [] });
      expect(verdict.log.details).to.equal('ext_authz_error');
    });

    it('denies what an unknown authorizer should decide', () => {
      const verdict = verdictOf('reply', filterChainOf([custom('c', 'nobody', {})], { mesh }), raw('/'));

      expect(verdict).to.deep.include(DENIED);
      expect(verdict.log.details).to.equal(
        'rbac_access_denied_matched_policy[istio-ext-authz-nobody-ns[foo]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action]',
      );
    });

    it('asks those before an unknown one, and then denies', () => {
      const filterChain = filterChainOf([custom('c', 'ext', {}), custom('d', 'nobody', {}), custom('e', 'two', {})], { mesh });
      const verdict = verdictOf('check', filterChain, raw('/'));

      expect(verdict.provider.name).to.equal('ext');
      expect(expectKind('reply', verdict.resume(consent)).log.details).to.contain('nobody');
    });
  });

  describe('on TCP', () => {
    const connection = raw('/').connection;
    const ports = (...values: readonly string[]): object => ({ to: [{ operation: { ports: values } }] });

    it('decides by the rules that mean something there', () => {
      expect(filterChainOf([]).evaluateConnection(connection)).to.deep.include({ kind: 'allow' });
      expect(filterChainOf([allow('a', ports('8080'))]).evaluateConnection(connection).kind).to.equal('allow');
      expect(filterChainOf([allow('a', paths('/'))]).evaluateConnection(connection)).to.deep.include({
        kind: 'deny',
        details: 'rbac_access_denied_matched_policy[none]',
      });
      expect(filterChainOf([deny('d', paths('/'))]).evaluateConnection(connection)).to.deep.include({
        kind: 'deny',
        details: 'rbac_access_denied_matched_policy[ns[foo]-policy[d]-rule[0]]',
      });
    });

    it('asks gRPC authorizers, and no HTTP ones', () => {
      const mesh = { extensionProviders: [authorizer('ext'), authorizer('web', 'http')] };
      const asked = filterChainOf([custom('c', 'ext', {}), deny('d', ports('9'))], { mesh }).evaluateConnection(connection);

      if (asked.kind !== 'check') throw new Error(asked.kind);
      expect(asked.provider.name).to.equal('ext');
      expect(asked.resume(true).kind).to.equal('allow');
      expect(asked.resume(false)).to.deep.equal({ kind: 'deny', details: 'ext_authz_denied' });
      expect(filterChainOf([custom('c', 'web', {})], { mesh }).evaluateConnection(connection).kind).to.equal('allow');
      expect(filterChainOf([custom('c', 'nobody', {})], { mesh }).evaluateConnection(connection).kind).to.equal('deny');
    });
  });

  it('denies and tells when there is a bug inside', () => {
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
});
