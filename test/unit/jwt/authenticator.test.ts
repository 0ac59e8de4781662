import { expect } from 'chai';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { firstHeader } from '../../../src/http/header-list.ts';
import { type Authentication, type Authenticator, createAuthenticator } from '../../../src/jwt/authenticator.ts';
import { TokenCache } from '../../../src/jwt/token-cache.ts';
import { NO_MATCHING_KEY } from '../../../src/jwt/token-fault.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { authenticatorOf, bearer, DEMO_TOKEN, key, said, second, setOf, token } from './authenticators.ts';
import { ISSUER, NOW, provider, requestWith, sign, unsigned } from './tokens.ts';

describe('an authenticator', () => {
  it("verifies Istio's demo token and removes it", () => {
    const demo = authenticatorOf(provider({ issuer: 'testing@secure.istio.io', keySet: 'demo' }));
    const request = requestWith(['accept', '*/*', ...bearer(DEMO_TOKEN), 'x-a', 'b']);

    expect(said(demo.authenticate(request, NOW))).to.equal('testing@secure.istio.io/testing@secure.istio.io');
    expect(request.headers).to.deep.equal(['accept', '*/*', 'x-a', 'b']);
    expect(said(demo.authenticate(requestWith(bearer(DEMO_TOKEN)), 4_685_989_761))).to.equal('Jwt is expired');
  });

  describe('reports the keys that it lacks', () => {
    let lacking: string[];
    const [old, rotated] = [
      { ...key, publicKey: { ...key.publicKey, kid: 'old' } },
      { ...second, publicKey: { ...second.publicKey, kid: 'new' } },
    ];
    const withKeys = (providers: readonly JwtProvider[], sets: Readonly<Record<string, KeySet>>): Authenticator =>
      createAuthenticator(providers, sets, { onUnknownKey: (keySet, kid) => lacking.push(`${keySet} ${kid()}`) });
    const refuse = (from: Authenticator, text: string): string => said(from.authenticate(requestWith(bearer(text)), NOW));
    beforeEach(() => {
      lacking = [];
    });

    it('of each refused request, also when the token is known', async () => {
      const one = withKeys([provider()], { keys: setOf(old.publicKey) });
      const text = await sign(rotated, {}, { kid: 'new' });
      for (let times = 0; times < 2; times += 1) expect(refuse(one, text)).to.equal(NO_MATCHING_KEY);
      expect(said(one.authenticateKnown(requestWith(bearer(text)), NOW) ?? { kind: 'anonymous' })).to.equal(NO_MATCHING_KEY);
      expect(lacking).to.deep.equal(['keys new', 'keys new', 'keys new']);
    });

    it('and of a rule without keys', async () => {
      refuse(withKeys([provider()], {}), await sign(rotated, {}, { kid: 'new' }));
      expect(lacking).to.deep.equal(['keys new']);
    });

    it('but not of another issuer, of an invalid signature or of an accepted token', async () => {
      const one = withKeys([provider()], { keys: setOf(old.publicKey) });
      refuse(one, await sign(rotated, { iss: 'https://other.example' }, { kid: 'new' }));
      refuse(one, await sign(rotated, {}, { kid: 'old' }));
      refuse(one, await sign(rotated));
      refuse(one, await sign(old, {}, { kid: 'old' }));
      expect(lacking).to.deep.equal([]);
    });

    it('but not when another rule accepts the token', async () => {
      const both = withKeys([provider(), provider({ name: 'origins-1', keySet: 'more' })], {
        keys: setOf(old.publicKey),
        more: setOf(rotated.publicKey),
      });
      expect(refuse(both, await sign(rotated, {}, { kid: 'new' }))).to.equal(`${ISSUER}/me`);
      expect(lacking).to.deep.equal([]);
    });
  });

  it('finds no identity in a request without a token', () => {
    const request = requestWith(['authorization', 'Basic abc', 'x-a', 'b'], '/p?x=1');

    expect(authenticatorOf(provider()).authenticate(request, NOW)).to.deep.equal({ kind: 'anonymous' });
    expect(request).to.deep.include({ headers: ['authorization', 'Basic abc', 'x-a', 'b'], target: '/p?x=1' });
  });

  it('ignores tokens when there are no rules', () => {
    expect(said(authenticatorOf().authenticate(requestWith(bearer('junk')), NOW))).to.equal('anonymous');
  });

  it('keeps the token when the rule forwards it', () => {
    const request = requestWith(bearer(token));
    authenticatorOf(provider({ forward: true })).authenticate(request, NOW);

    expect(request.headers).to.deep.equal(bearer(token));
  });

  it('removes tokens from the query but not from cookies', () => {
    const request = requestWith(['cookie', `t=${token}`], `/p?b=2&access_token=${token}&a=1`);
    const result = authenticatorOf(provider({ cookies: ['t'] })).authenticate(request, NOW);

    expect(said(result)).to.equal(`${ISSUER}/me`);
    expect(request).to.deep.include({ headers: ['cookie', `t=${token}`], target: '/p?a=1&b=2' });
  });

  describe('refuses', () => {
    for (const [name, text, fault] of [
      ['garbage', async () => 'invalidToken', 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
      ['another issuer', () => sign(key, { iss: 'https://other.example' }), 'Jwt issuer is not configured'],
      ['no issuer', () => sign(key, { iss: undefined }), 'Jwt issuer is not configured'],
      ['an expired token', () => sign(key, { exp: NOW - 61 }), 'Jwt is expired'],
      ['a token of tomorrow', () => sign(key, { nbf: NOW + 61 }), 'Jwt not yet valid'],
      ['a token for another audience', () => sign(key, { aud: 'other' }), 'Audiences in Jwt are not allowed'],
      ['a token of an unknown key', () => sign(second, { aud: 'me' }), 'Jwt verification fails'],
      ['no signature', async () => unsigned({ iss: ISSUER, aud: 'me' }, { alg: 'none' }), 'Jwt header [alg] is not supported'],
      ['issuer before expiry', () => sign(second, { iss: 'x', exp: 1 }), 'Jwt issuer is not configured'],
      ['expiry before audience', () => sign(second, { exp: 1, aud: 'x' }), 'Jwt is expired'],
      ['audience before signature', () => sign(second, { aud: 'x' }), 'Audiences in Jwt are not allowed'],
    ] as const) {
      it(name, async () => {
        const request = requestWith(bearer(await text()), '/p?q="1"');
        const result = authenticatorOf(provider({ audiences: ['https://me/'] })).authenticate(request, NOW);

        expect(result).to.deep.equal({
          kind: 'refused',
          fault,
          reply: {
            kind: 'reply',
            status: fault === 'Audiences in Jwt are not allowed' ? 403 : 401,
            body: fault,
            headers: ['www-authenticate', 'Bearer realm="http://app.foo:8000/p?q="1"", error="invalid_token"'],
            close: false,
            details: `jwt_authn_access_denied{${fault.replaceAll(' ', '_')}}`,
          },
          rule: provider().source,
        });
        expect(request.headers).to.have.length(2);
      });
    }

    it('every token of a rule without keys, whatever the name of the key set', async () => {
      for (const keySet of ['missing', '__proto__', 'constructor', 'toString']) {
        expect(said(authenticatorOf(provider({ keySet })).authenticate(requestWith(bearer(token)), NOW)), keySet).to.equal(
          'Jwt verification fails',
        );
      }
      const empty = createAuthenticator([provider()], { keys: setOf() });
      expect(said(empty.authenticate(requestWith(bearer(token)), NOW))).to.equal('Jwt verification fails');
    });

    it('a valid token next to an invalid one', async () => {
      const rule = provider({ headers: [{ name: 'x-jwt', prefix: '' }] });
      for (const texts of [
        [token, 'bad'],
        ['bad', token],
      ]) {
        const headers = texts.flatMap((text) => ['x-jwt', text]);
        expect(said(authenticatorOf(rule).authenticate(requestWith(headers), NOW))).to.contain('not in the form');
      }
    });
  });

  it('writes the original path into the realm, cut after 256 characters, with its token', () => {
    const rules = authenticatorOf(provider({ params: ['access_token', 'other'] }));
    const long = `/${'a'.repeat(300)}`;
    const realm = (result: Authentication): string =>
      result.kind === 'refused' ? (firstHeader(result.reply.headers, 'www-authenticate') ?? '') : '';

    expect(realm(rules.authenticate(requestWith(bearer('x'), long), NOW))).to.equal(
      `Bearer realm="http://app.foo:8000${long.slice(0, 256)}", error="invalid_token"`,
    );
    expect(realm(rules.authenticate(requestWith([...bearer('x'), 'x-envoy-original-path', '/old']), NOW))).to.contain(
      '"http://app.foo:8000/old"',
    );
    expect(realm(rules.authenticate(requestWith(bearer('x'), `/p?other=${token}`), NOW))).to.contain(`/p?other=${token.slice(0, 20)}`);
  });

  it('ignores the token of a preflight but removes output headers', () => {
    const rules = authenticatorOf(provider({ payloadHeader: 'x-payload' }));
    const preflight = (method: string, ...headers: readonly string[]): Authentication =>
      rules.authenticate({ ...requestWith([...bearer('junk'), 'x-payload', 'forged', ...headers]), method }, NOW);

    expect(said(preflight('OPTIONS', 'origin', 'https://a', 'access-control-request-method', 'GET'))).to.equal('anonymous');
    for (const [method, ...headers] of [
      ['OPTIONS', 'origin', 'https://a'],
      ['OPTIONS', 'access-control-request-method', 'GET'],
      ['OPTIONS', 'origin', '', 'access-control-request-method', 'GET'],
      ['OPTIONS', 'origin', 'https://a', 'access-control-request-method', ''],
      ['options', 'origin', 'https://a', 'access-control-request-method', 'GET'],
      ['GET', 'origin', 'https://a', 'access-control-request-method', 'GET'],
    ] as const) {
      expect(said(preflight(method, ...headers)), `${method} ${headers.join(' ')}`).to.contain('not in the form');
    }

    const request = { ...requestWith(['origin', 'a', 'access-control-request-method', 'GET', 'x-payload', 'forged']), method: 'OPTIONS' };
    rules.authenticate(request, NOW);
    expect(request.headers).to.deep.equal(['origin', 'a', 'access-control-request-method', 'GET']);
  });

  it('verifies a token that the cache cannot keep for every request', () => {
    let verifications = 0;
    const authenticator = createAuthenticator(
      [provider()],
      { keys: setOf(key.publicKey) },
      {
        cache: new TokenCache(1024),
        onVerification: () => {
          verifications += 1;
        },
      },
    );
    for (const expected of [1, 2, 3]) {
      expect(said(authenticator.authenticate(requestWith(bearer(token)), NOW))).to.equal(`${ISSUER}/me`);
      expect(verifications).to.equal(expected);
    }
  });

  it('answers from the cache only what is cached, for all tokens of the request', async () => {
    const authenticator = authenticatorOf(provider());
    const other = await sign(key, { sub: 'other' });
    const known = (...texts: readonly string[]): string => {
      const [inHeader = '', inQuery] = texts;
      const result = authenticator.authenticateKnown(requestWith(bearer(inHeader), inQuery && `/p?access_token=${inQuery}`), NOW);
      return result === undefined ? 'not known' : said(result);
    };

    expect(said(authenticator.authenticateKnown(requestWith([]), NOW) as Authentication)).to.equal('anonymous');
    expect(known(token)).to.equal('not known');
    authenticator.authenticate(requestWith(bearer(token)), NOW);
    expect(known(token)).to.equal(`${ISSUER}/me`);
    expect(known(token, other)).to.equal('not known');
    expect(known(other, token)).to.equal('not known');
    authenticator.authenticate(requestWith(bearer(other)), NOW);
    expect(known(other, token)).to.equal(`${ISSUER}/other`);
    authenticator.release();
    expect(known(token)).to.equal('not known');
  });

  it('answers CONNECT, a preflight and a request without a path as if it had no token', () => {
    const authenticator = authenticatorOf(provider());
    const preflight = ['origin', 'a', 'access-control-request-method', 'GET'];
    for (const request of [
      { ...requestWith(bearer('junk')), method: 'CONNECT' },
      { ...requestWith([...bearer('junk'), ...preflight]), method: 'OPTIONS' },
      { ...requestWith(bearer('junk')), target: '' },
    ]) {
      expect(said(authenticator.authenticateKnown({ ...request }, NOW) as Authentication)).to.equal('anonymous');
      expect(said(authenticator.authenticate({ ...request }, NOW))).to.equal('anonymous');
    }
  });

  it('ignores CONNECT, because rules apply to paths', () => {
    const rules = authenticatorOf(provider({}));
    expect(said(rules.authenticate({ ...requestWith(bearer('junk')), method: 'CONNECT' }, NOW))).to.equal('anonymous');
  });

  it('returns the claims of the token found first, with space-delimited claims split', async () => {
    const first = await sign(key, { sub: 'first', scope: 'a b', list: 'a b' });
    const request = requestWith(bearer(first), `/p?access_token=${token}`);
    const result = authenticatorOf(provider({ spaceDelimitedClaims: ['list', 'permission'] })).authenticate(request, NOW);

    expect(result.kind === 'verified' ? { ...result.claims } : {}).to.deep.equal({
      iss: ISSUER,
      sub: 'first',
      scope: 'a b',
      list: ['a', 'b'],
    });
    expect(request).to.deep.include({ headers: [], target: '/p' });
  });
});
