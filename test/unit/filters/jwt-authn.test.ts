import { expect } from 'chai';
import { ISSUER, makeKey, NOW, type SigningKey, sign } from '../jwt/tokens.ts';
import { allow, authorizer, custom, deny, expectKind, filterChainOf, policy, raw, verdictOf } from './chains.ts';

describe('the jwt_authn filter', () => {
  let key: SigningKey;
  let token: string;
  const rule = { issuer: ISSUER, jwks: 'unused', outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }] };
  const authentication = policy('RequestAuthentication', 'ra', { jwtRules: [rule] });
  const principal = (value: string): object => ({ from: [{ source: { requestPrincipals: [value] } }] });
  const chainWith = (...policies: readonly object[]) =>
    filterChainOf([authentication, ...policies], { keys: { source: 'inline', keys: [key.publicKey] } });
  const bearer = (text: string): string[] => ['Authorization', `Bearer ${text}`];

  before(async () => {
    key = await makeKey('ES256');
    token = await sign(key, { scope: 'read write' });
  });

  it('identifies the caller, removes the token and logs both principal and rule', () => {
    const filterChain = chainWith(allow('a', principal(`${ISSUER}/me`)));
    const verdict = verdictOf('forward', filterChain, raw('/', bearer(token)));

    expect(verdict.head.headers).to.deep.equal(['x-forwarded-proto', 'http', 'x-sub', 'me']);
    expect(verdict.log).to.deep.include({
      principal: `${ISSUER}/me`,
      jwtRule: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 0, rule: 0 },
    });
    expect(verdictOf('reply', filterChain, raw('/')).log).to.deep.include({ outcome: 'deny', principal: '' });
  });

  it('forwards no header value with a line break when a claim contains one, after policies saw it', async () => {
    const split = bearer(await sign(key, { sub: 'a\r\nx-admin: yes' }));
    const filterChain = chainWith(
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

  it('reports from when on the request is refused, where it is asked to', async () => {
    const keys = { source: 'inline', keys: [key.publicKey] };
    const everybody = allow('a', {});
    const expiring = bearer(await sign(key, { exp: NOW + 10 }));
    const reporting = filterChainOf([authentication, everybody], { keys, reportExpiry: true });
    const { expiresAt = 0 } = verdictOf('forward', reporting, raw('/', expiring));

    expectKind('forward', reporting.evaluate(raw('/', expiring), expiresAt - 1));
    expectKind('reply', reporting.evaluate(raw('/', expiring), expiresAt));
    for (const headers of [bearer(token), []]) expect(verdictOf('forward', reporting, raw('/', headers))).to.not.have.property('expiresAt');
    expect(verdictOf('forward', filterChainOf([authentication, everybody], { keys }), raw('/', expiring))).to.not.have.property(
      'expiresAt',
    );
  });

  it('reports the earliest end where several tokens are required', async () => {
    const keys = { source: 'inline', keys: [key.publicKey] };
    const rules = ['x-one', 'x-two'].map((name) => ({
      issuer: `${ISSUER}/${name}`,
      jwks: 'unused',
      fromHeaders: [{ name }],
      presence: 'REQUIRED',
    }));
    const chain = filterChainOf([policy('RequestAuthentication', 'two', { jwtRules: rules }), allow('a', {})], {
      keys,
      reportExpiry: true,
    });
    const tokenOf = (name: string, exp?: number): Promise<string> =>
      sign(key, { iss: `${ISSUER}/${name}`, ...(exp !== undefined && { exp }) });
    const ends = async (one?: number, two?: number): Promise<number | undefined> =>
      verdictOf('forward', chain, raw('/', ['x-one', await tokenOf('x-one', one), 'x-two', await tokenOf('x-two', two)])).expiresAt;
    const [early, late] = [await ends(NOW + 10), await ends(NOW + 20)];

    expect(late).to.equal((early ?? 0) + 10);
    expect([await ends(NOW + 10, NOW + 20), await ends(NOW + 20, NOW + 10), await ends(undefined, NOW + 10)]).to.deep.equal([
      early,
      early,
      early,
    ]);
    expect(await ends()).to.equal(undefined);
  });

  it('verifies a token later when asked to, and knows it from then on', async () => {
    const keys = { source: 'inline', keys: [key.publicKey] };
    const options = { keys, deferVerification: true };
    const filterChain = filterChainOf([authentication, allow('a', principal(`${ISSUER}/me`))], options);
    const fresh = await sign(key, { jti: 'once' });

    const waiting = verdictOf('verify', filterChain, raw('/', bearer(fresh)));
    expect(waiting.log).to.include({ outcome: 'none', details: '' });
    expect(expectKind('forward', waiting.resume()).log.principal).to.equal(`${ISSUER}/me`);
    verdictOf('forward', filterChain, raw('/', bearer(fresh)));
    verdictOf('reply', filterChain, raw('/'));
    const forged = verdictOf('verify', filterChain, raw('/', bearer(`${fresh.slice(0, -4)}AAAA`)));
    expect(expectKind('reply', forged.resume())).to.include({ status: 401 });
    const expired = verdictOf('verify', filterChain, raw('/', bearer(await sign(key, { exp: NOW + 100 }))));
    expect(expectKind('reply', expired.resume(NOW + 1000))).to.include({ status: 401 });
  });

  it('denies when verifying a token fails by a bug, and reports it', async () => {
    const bugs: unknown[] = [];
    const keys = { source: 'inline', keys: [key.publicKey] };
    const filterChain = filterChainOf([authentication], { keys, deferVerification: true, onBug: (error) => bugs.push(error) });
    const waiting = verdictOf('verify', filterChain, raw('/', bearer(await sign(key, { jti: 'bug' }))));
    const clock = {
      valueOf(): never {
        throw new Error('no time');
      },
    };

    const verdict = expectKind('reply', waiting.resume(clock as unknown as number));
    expect(verdict).to.include({ status: 403 });
    expect(verdict.log).to.include({ outcome: 'deny', details: 'internal_error' });
    expect(bugs.map(String)).to.deep.equal(['Error: no time']);
  });

  it('removes the token before policies see the request', () => {
    const present = (header: string): object => ({ when: [{ key: `request.headers[${header}]`, values: ['*'] }] });

    verdictOf('reply', chainWith(allow('a', present('authorization'))), raw('/', bearer(token)));
    verdictOf('forward', chainWith(allow('a', present('x-sub'))), raw('/', bearer(token)));
    verdictOf('reply', chainWith(allow('a', present('x-sub'))), raw('/', ['x-sub', 'forged']));
  });

  it('matches space-delimited claims word by word', () => {
    const scope = (value: string): object => allow('a', { when: [{ key: 'request.auth.claims[scope]', values: [value] }] });

    verdictOf('forward', chainWith(scope('write')), raw('/', bearer(token)));
    verdictOf('reply', chainWith(scope('read write')), raw('/', bearer(token)));
  });

  it('replies 401 to an invalid token before any policy allows or denies', () => {
    for (const authorization of [allow('a', {}), deny('a', {})]) {
      const verdict = verdictOf('reply', chainWith(authorization), raw('/x?y=1', bearer('invalidToken')));

      expect(verdict).to.deep.include({
        status: 401,
        body: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
        headers: ['www-authenticate', 'Bearer realm="http://app.foo:8000/x?y=1", error="invalid_token"', 'content-type', 'text/plain'],
      });
      expect(verdict.log).to.deep.include({ outcome: 'unauthenticated', principal: '' });
      expect(verdict.log.jwtRule?.name).to.equal('ra');
    }
  });

  it('replies status 16 to gRPC', () => {
    const verdict = verdictOf('reply', chainWith(), raw('/', ['content-type', 'application/grpc', ...bearer('a.b')]));

    expect(verdict.status).to.equal(200);
    expect(verdict.headers).to.include.members(['www-authenticate', 'grpc-status', '16']);
  });

  it('runs after ext_authz', () => {
    const filterChain = filterChainOf([authentication, custom('c', 'ext', {})], { mesh: { extensionProviders: [authorizer('ext')] } });
    const verdict = verdictOf('check', filterChain, raw('/', bearer('junk')));

    expect(verdict.request.headers).to.include('Bearer junk');
    expect(expectKind('reply', verdict.resume({ kind: 'allow', setHeaders: [], removeHeaders: [] })).status).to.equal(401);
  });

  it('refuses a token that expired during the check of an external authorizer', async () => {
    const mesh = { extensionProviders: [authorizer('ext')] };
    const keys = { source: 'inline', keys: [key.publicKey] };
    const filterChain = filterChainOf([authentication, custom('c', 'ext', {})], { mesh, keys });
    const expiring = raw('/', bearer(await sign(key, { exp: NOW + 30 })));
    const allowed = { kind: 'allow', setHeaders: [], removeHeaders: [] } as const;

    expect(verdictOf('check', filterChain, expiring).resume(allowed).kind).to.equal('forward');
    const late = expectKind('reply', verdictOf('check', filterChain, expiring).resume(allowed, NOW + 91));
    expect(late).to.include({ status: 401, body: 'Jwt is expired' });
  });
});
