import { expect } from 'chai';
import { checkDenied, checkFailed } from '../../../src/filters/check-response.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import { NOW } from '../jwt/tokens.ts';
import { allow, authorizer, CONNECTION, custom, deny, expectKind, filterChainOf, paths, raw, verdictOf } from './chains.ts';

const DENIED = { status: 403, body: 'RBAC: access denied', headers: ['content-type', 'text/plain'] };
const GRPC = ['content-type', 'application/grpc'];

describe('the ext_authz filter', () => {
  const mesh = { extensionProviders: [authorizer('ext'), authorizer('two', 'http')], multipleCustomProviders: true };
  const consent = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;

  it('checks only requests that a CUSTOM rule matches', () => {
    const filterChain = filterChainOf([custom('c', 'ext', paths('/c'))], { mesh });

    verdictOf('forward', filterChain, raw('/x'));
    const verdict = verdictOf('check', filterChain, raw('/c'));
    expect(`${verdict.provider.name} ${verdict.rule.source.name}`).to.equal('ext c');
    expect(verdict.request.target).to.equal('/c');
  });

  it('evaluates the other policies after the check allowed the request', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {}), deny('d', paths('/d'))], { mesh });

    expectKind('forward', verdictOf('check', filterChain, raw('/c')).resume(consent));
    expect(expectKind('reply', verdictOf('check', filterChain, raw('/d')).resume(consent)).log.details).to.contain('policy[d]');
  });

  it('sets and removes the headers of the CheckResponse for policies and upstream, but neither host nor path', () => {
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

  it('denies when evaluating the response fails, and reports it', () => {
    const bugs: unknown[] = [];
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh, onBug: (error) => bugs.push(error) });
    const broken = {
      ...consent,
      get setHeaders(): never {
        throw new Error('broken');
      },
    };

    const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(broken));
    expect(verdict).to.include({ status: 403 });
    expect(verdict.log).to.include({ outcome: 'deny', details: 'internal_error' });
    expect(bugs.map(String)).to.deep.equal(['Error: broken']);
  });

  it('replies with the response of the server that denies', () => {
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

  it('replies in the form of gRPC when the server denies a call', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh });
    const verdict = verdictOf('check', filterChain, raw('/', ['content-type', 'application/grpc']));
    const refusal = checkDenied(403, 'no', ['content-type', 'text/plain', 'x-why', 'so']);

    expect(expectKind('reply', verdict.resume(refusal))).to.deep.include({
      status: 200,
      body: '',
      headers: [...GRPC, 'x-why', 'so', 'grpc-status', '7', 'grpc-message', 'no'],
    });
  });

  it('replies with the status on error when the check failed', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh });
    const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(checkFailed(503)));

    expect(verdict).to.deep.include({ status: 503, body: '', headers: [] });
    expect(verdict.log.details).to.equal('ext_authz_error');
  });

  for (const status of [200, 401, 403, 500, 502, 503]) {
    it(`never forwards a request whose check failed or was denied with status ${status}`, () => {
      const filterChain = filterChainOf([custom('c', 'ext', {}), custom('d', 'two', {})], { mesh });

      for (const response of [checkFailed(status), checkDenied(status, '')]) {
        const verdict = expectKind('reply', verdictOf('check', filterChain, raw('/')).resume(response));
        expect([verdict.status, verdict.log.outcome, verdict.log.details]).to.deep.equal([status, 'deny', response.details]);
      }
    });
  }

  it('denies a request that an unknown provider should check', () => {
    const verdict = verdictOf('reply', filterChainOf([custom('c', 'missing', {})], { mesh }), raw('/'));

    expect(verdict).to.deep.include(DENIED);
    expect(verdict.log.details).to.equal(
      'rbac_access_denied_matched_policy[istio-ext-authz-missing-ns[foo]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action]',
    );
  });

  it('checks with the providers before an unknown one, and then denies', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {}), custom('d', 'missing', {}), custom('e', 'two', {})], { mesh });
    const verdict = verdictOf('check', filterChain, raw('/'));

    expect(verdict.provider.name).to.equal('ext');
    expect(expectKind('reply', verdict.resume(consent)).log.details).to.contain('missing');
  });
});

describe('the ext_authz filter with several providers', () => {
  const mesh = { extensionProviders: [authorizer('a'), authorizer('b', 'http'), authorizer('c')], multipleCustomProviders: true };
  const consent = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;
  const name = (verdict: Verdict): string | undefined => (verdict.kind === 'check' ? verdict.provider.name : verdict.kind);

  it('checks with one provider after the other in order of their names, and each must allow the request', () => {
    const filterChain = filterChainOf([custom('z', 'a', {}), custom('y', 'c', {}), custom('x', 'b', {})], { mesh });
    const first = verdictOf('check', filterChain, raw('/'));
    const second = expectKind('check', first.resume(consent));
    const third = expectKind('check', second.resume(consent));

    expect([first, second, third].map(name)).to.deep.equal(['a', 'b', 'c']);
    expect(name(third.resume(consent))).to.equal('forward');
    expect(expectKind('reply', second.resume(checkDenied(401, ''))).status).to.equal(401);
    expect(expectKind('reply', second.resume(checkFailed(502, 'why'))).log.details).to.equal('why');
  });

  it('checks the request with the changes of the provider before, if it still matches', () => {
    const when = (value: string): object => ({ when: [{ key: 'request.headers[x-role]', values: [value] }] });
    const filterChain = filterChainOf([custom('z', 'a', {}), custom('y', 'b', when('admin')), custom('x', 'c', when('user'))], { mesh });
    const first = verdictOf('check', filterChain, raw('/', ['x-role', 'admin']));

    expect(name(first.resume(consent))).to.equal('b');
    const next = expectKind('check', first.resume({ ...consent, setHeaders: ['x-role', 'user'] }));
    expect(name(next)).to.equal('c');
    expect(next.request.headers.join()).to.contain('x-role,user');
    expect(name(first.resume({ ...consent, removeHeaders: ['x-role'] }))).to.not.equal('b');
  });

  it('puts scheme, version and connection into the check', () => {
    const filterChain = filterChainOf([custom('z', 'a', {})], { mesh });
    expect(verdictOf('check', filterChain, raw('/'))).to.deep.include({ scheme: 'http', version: '1.1', connection: CONNECTION });
  });

  it('does not check a request without a route', () => {
    const filterChain = filterChainOf([custom('c', 'ext', {})], { mesh: { extensionProviders: [authorizer('ext')] } });
    expect(filterChain.evaluate(raw('/'), NOW).kind).to.equal('check');
    const tunnel = raw('a:80', [], { method: 'CONNECT' });
    expect(verdictOf('reply', filterChain, tunnel)).to.include({ status: 404 });
    const unknown = verdictOf('reply', filterChainOf([custom('c', 'nowhere', {})]), tunnel);
    expect([unknown.status, unknown.log.outcome]).to.deep.equal([403, 'deny']);
  });
});
