import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import type { BundleKey, KeySet } from '../../../src/bundle/bundle.ts';
import { firstHeader } from '../../../src/http/header-list.ts';
import { type Authentication, type Authenticator, createAuthenticator } from '../../../src/jwt/authenticator.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { ISSUER, makeKey, NOW, provider, requestWith, type SigningKey, segment, sign, unsigned } from './tokens.ts';

const SECOND_ISSUER = 'https://second.example';

/** Istio's own demo key and tokens, which every Istio user has seen. @see istio security/tools/jwt/samples */
const DEMO_KEY: BundleKey = {
  kty: 'RSA',
  e: 'AQAB',
  kid: 'DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ',
  n: 'xAE7eB6qugXyCAG3yhh7pkDkT65pHymX-P7KfIupjf59vsdo91bSP9C8H07pSAGQO1MV_xFj9VswgsCg4R6otmg5PV2He95lZdHtOcU5DXIg_pbhLdKXbi66GlVeK6ABZOUW3WYtnNHD-91gVuoeJT_DwtGGcp4ignkgXfkiEm4sw-4sfb4qdt5oLbyVpmW6x9cfa7vs2WTfURiCrBoUqgBo_-4WTiULmmHSGZHOjzwa8WtrtOQGsAFjIbno85jp6MnGGGZPYZbDAa_b3y5u-YpW7ypZrvD8BgtKVjgtQgZhLAGezMt0ua3DRrWnKqTZ0BJ_EyxOGuHJrLsn00fnMQ',
};
const DEMO_TOKEN =
  'eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg';

const setOf = (...keys: readonly BundleKey[]): KeySet => ({ source: 'test', keys });

/** `fault` of a refusal, the principal of a token, or `anonymous`. */
function said(authentication: Authentication): string {
  switch (authentication.kind) {
    case 'anonymous':
      return 'anonymous';
    case 'verified':
      return authentication.principal;
    case 'refused':
      return authentication.fault;
  }
}

describe('authenticator', () => {
  let key: SigningKey;
  let second: SigningKey;
  let token: string;
  let secondToken: string;
  let keySets: Record<string, KeySet>;

  const bearer = (text: string): string[] => ['authorization', `Bearer ${text}`];
  const authenticatorOf = (...providers: readonly JwtProvider[]): Authenticator => createAuthenticator(providers, keySets);
  const ofSecond = (changes: Partial<JwtProvider> = {}): JwtProvider =>
    provider({ issuer: SECOND_ISSUER, keySet: 'second', name: 'origins-1', ...changes });

  before(async () => {
    key = await makeKey('ES256');
    second = await makeKey('ES256');
    token = await sign(key);
    secondToken = await sign(second, { iss: SECOND_ISSUER, sub: 'you' });
    keySets = { keys: setOf(key.publicKey), second: setOf(second.publicKey), demo: setOf(DEMO_KEY) };
  });

  it("verifies Istio's demo token, and takes it away", () => {
    const demo = authenticatorOf(provider({ issuer: 'testing@secure.istio.io', keySet: 'demo' }));
    const request = requestWith(['accept', '*/*', ...bearer(DEMO_TOKEN), 'x-a', 'b']);

    expect(said(demo.authenticate(request, NOW))).to.equal('testing@secure.istio.io/testing@secure.istio.io');
    expect(request.headers).to.deep.equal(['accept', '*/*', 'x-a', 'b']);
    expect(said(demo.authenticate(requestWith(bearer(DEMO_TOKEN)), 4_685_989_761))).to.equal('Jwt is expired');
  });

  it('lets a request without token pass as nobody', () => {
    const request = requestWith(['authorization', 'Basic abc', 'x-a', 'b'], '/p?x=1');

    expect(authenticatorOf(provider()).authenticate(request, NOW)).to.deep.equal({ kind: 'anonymous' });
    expect(request).to.deep.include({ headers: ['authorization', 'Basic abc', 'x-a', 'b'], target: '/p?x=1' });
  });

  it('looks at nothing without rules', () => {
    expect(said(authenticatorOf().authenticate(requestWith(bearer('junk')), NOW))).to.equal('anonymous');
  });

  it('keeps the token where the rule says so', () => {
    const request = requestWith(bearer(token));
    authenticatorOf(provider({ forward: true })).authenticate(request, NOW);

    expect(request.headers).to.deep.equal(bearer(token));
  });

  it('takes tokens out of the query, and out of no cookie', () => {
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
      ['a token for somebody else', () => sign(key, { aud: 'other' }), 'Audiences in Jwt are not allowed'],
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

    it('any token of a rule without keys, whatever the key set is called', async () => {
      for (const keySet of ['missing', '__proto__', 'constructor', 'toString']) {
        expect(said(authenticatorOf(provider({ keySet })).authenticate(requestWith(bearer(token)), NOW)), keySet).to.equal(
          'Jwt verification fails',
        );
      }
      const empty = createAuthenticator([provider()], { keys: setOf() });
      expect(said(empty.authenticate(requestWith(bearer(token)), NOW))).to.equal('Jwt verification fails');
    });

    it('a good token beside a bad one', async () => {
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

  it('names the original path in the realm, cut after 256 characters, before the token was taken out', () => {
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

  it('passes preflights by, but never the headers that only a token may set', () => {
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

  it('does not look at CONNECT, whose missing path no rule is for', () => {
    const rules = authenticatorOf(provider({}));
    expect(said(rules.authenticate({ ...requestWith(bearer('junk')), method: 'CONNECT' }, NOW))).to.equal('anonymous');
  });

  describe('output headers', () => {
    const outputs = {
      payloadHeader: 'x-payload',
      claimHeaders: [
        { header: 'X-Sub', claim: 'sub' },
        { header: 'x-missing', claim: 'no.such' },
        { header: 'x-deep', claim: 'a.b' },
      ],
    };

    it('carry the payload and the claims of the token, in order', async () => {
      const text = await sign(key, { a: { b: [1] } });
      const request = requestWith(['x-first', '1', ...bearer(text)]);
      authenticatorOf(provider(outputs)).authenticate(request, NOW);

      expect(request.headers).to.deep.equal([
        'x-first',
        '1',
        'x-payload',
        text.split('.')[1],
        'x-sub',
        'me',
        'x-deep',
        Buffer.from('[1]').toString('base64'),
      ]);
    });

    it('hold the payload as it was sent, line breaks of a token in the query included', () => {
      const secret = 'a secret of thirty-two bytes or so';
      const payload = segment({ iss: ISSUER, sub: 'me' });
      const signed = `${segment({ alg: 'HS256' })}.${payload.slice(0, 4)}\r\n\r\n${payload.slice(4)}`;
      const text = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
      const request = requestWith([], `/p?access_token=${encodeURIComponent(text)}`);
      const keys = { keys: setOf({ kty: 'oct', k: segment(secret) }) };

      expect(said(createAuthenticator([provider(outputs)], keys).authenticate(request, NOW))).to.equal(`${ISSUER}/me`);
      expect(request.headers[request.headers.indexOf('x-payload') + 1]).to.equal(text.split('.')[1]);
    });

    for (const forged of ['x-sub', 'x_sub', 'x-payload', 'x_payload', 'x-missing', 'x_deep']) {
      it(`never come from the client as ${forged}`, () => {
        for (const headers of [[], bearer(token), bearer('junk')]) {
          const request = requestWith([forged, 'forged', ...headers, forged, 'again', 'x-other', 'kept']);
          authenticatorOf(provider(outputs), ofSecond()).authenticate(request, NOW);

          expect(request.headers).to.include('kept').and.not.include.members(['forged']).and.not.include.members(['again']);
        }
      });
    }

    it('of every rule are removed, whichever rule accepts', () => {
      const request = requestWith([...bearer(token), 'x-second', 'forged']);
      authenticatorOf(provider(), ofSecond({ payloadHeader: 'x-second' })).authenticate(request, NOW);

      expect(request.headers).to.deep.equal([]);
    });

    it('of a rule that refused in the end go when a later rule sets the same, and stay when none does', async () => {
      const both = { headers: [{ name: 'x-bad', prefix: '' }], cookies: ['t'], params: [] };
      const cookie = { headers: [], cookies: ['t'], params: [] };
      const sub = { claimHeaders: [{ header: 'x-sub', claim: 'sub' }] };
      for (const [later, expected] of [
        [{ ...cookie, ...sub }, ['x-sub', 'me']],
        [{ ...cookie, payloadHeader: 'x-sub' }, ['x-sub', token.split('.')[1]]],
        [cookie, ['x-sub', 'me']],
      ] as const) {
        const request = requestWith(['cookie', `t=${token}`, 'x-bad', 'junk']);
        authenticatorOf(provider({ ...both, ...sub }), provider({ ...later, name: 'origins-1' })).authenticate(request, NOW);

        expect(request.headers.slice(4)).to.deep.equal(expected);
      }
    });

    it('that are also where the token is leave no token', () => {
      const request = requestWith(bearer(token));

      expect(said(authenticatorOf(provider({ payloadHeader: 'authorization' })).authenticate(request, NOW))).to.equal('anonymous');
      expect(request.headers).to.deep.equal([]);
    });

    it('appear once per token', () => {
      const request = requestWith(['x-jwt', token, 'x-jwt', token]);
      authenticatorOf(
        provider({ headers: [{ name: 'x-jwt', prefix: '' }], claimHeaders: [{ header: 'x-sub', claim: 'sub' }] }),
      ).authenticate(request, NOW);

      expect(request.headers).to.deep.equal(['x-sub', 'me', 'x-sub', 'me']);
    });
  });

  it('shows policies the claims of the token found first, with space-delimited lists split', async () => {
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

  describe('with several rules', () => {
    const here = (name: string): Partial<JwtProvider> => ({ headers: [{ name, prefix: '' }], params: [] });

    it('takes the token that any rule accepts', () => {
      const rules = authenticatorOf(provider(), ofSecond());

      expect(said(rules.authenticate(requestWith(bearer(token)), NOW))).to.equal(`${ISSUER}/me`);
      expect(said(rules.authenticate(requestWith(bearer(secondToken)), NOW))).to.equal(`${SECOND_ISSUER}/you`);
      expect(said(rules.authenticate(requestWith([]), NOW))).to.equal('anonymous');
    });

    it('stops at the first rule that accepts; what the others would find stays', () => {
      const rules = authenticatorOf(provider(here('x-0')), ofSecond({ ...here('x-1'), payloadHeader: 'x-out' }));
      const request = requestWith(['x-0', token, 'x-1', 'garbage']);

      expect(said(rules.authenticate(request, NOW))).to.equal(`${ISSUER}/me`);
      expect(request.headers).to.deep.equal(['x-1', 'garbage']);
    });

    it('joins what two tokens put into one field that Envoy has once', () => {
      const headers = [
        { name: 'x-0', prefix: '' },
        { name: 'x-1', prefix: '' },
      ];
      const request = requestWith(['x-0', token, 'x-1', token]);
      const payload = token.split('.')[1] ?? '';
      authenticatorOf(provider({ headers, params: [], payloadHeader: 'authorization' })).authenticate(request, NOW);

      expect(request.headers).to.deep.equal(['authorization', `${payload},${payload}`]);
    });

    it('accepts a second rule of the same issuer with other keys', async () => {
      const rules = authenticatorOf(provider(), provider({ keySet: 'second' }));

      expect(said(rules.authenticate(requestWith(bearer(await sign(second))), NOW))).to.equal(`${ISSUER}/me`);
    });

    for (const [name, first, other, fault] of [
      ['unknown and missing', 'unknown', '', 'Jwt issuer is not configured'],
      ['missing and unknown', '', 'unknown', 'Jwt issuer is not configured'],
      ['unknown and unknown', 'unknown', 'unknown', 'Jwt issuer is not configured'],
      ['unknown and expired', 'unknown', 'expired', 'Jwt is expired'],
      ['expired and unknown', 'expired', 'unknown', 'Jwt is expired'],
      ['expired and garbage', 'expired', 'garbage', 'Jwt is expired'],
      ['missing and expired', '', 'expired', 'Jwt is expired'],
    ] as const) {
      it(`tells of ${name}: ${fault}`, async () => {
        const rules = authenticatorOf(provider(here('x-0')), ofSecond(here('x-1')));
        const made = async (what: string, signer: SigningKey, iss: string): Promise<string> => {
          switch (what) {
            case 'unknown':
              return sign(signer, { iss: 'https://third.example' });
            case 'expired':
              return sign(signer, { iss, exp: 1 });
            default:
              return what;
          }
        };
        const headers = [
          ...(first === '' ? [] : ['x-0', await made(first, key, ISSUER)]),
          ...(other === '' ? [] : ['x-1', await made(other, second, SECOND_ISSUER)]),
        ];

        expect(said(rules.authenticate(requestWith(headers), NOW))).to.equal(fault);
      });
    }

    it('finds the rule of each token when tokens of two issuers are at the same locations', async () => {
      const rules = authenticatorOf(provider(), ofSecond());
      const request = requestWith(bearer(token), `/p?access_token=${secondToken}`);

      expect(said(rules.authenticate(request, NOW))).to.equal(`${ISSUER}/me`);
      expect(request).to.deep.include({ headers: [], target: '/p' });
      const bad = await sign(second);
      expect(said(rules.authenticate(requestWith(bearer(bad), `/p?access_token=${secondToken}`), NOW))).to.equal('Jwt verification fails');
      const foreign = await sign(key, { iss: 'https://third.example' });
      expect(said(rules.authenticate(requestWith(bearer(foreign), `/p?access_token=${secondToken}`), NOW))).to.equal(
        'Jwt issuer is not configured',
      );
    });

    it('refuses a request whose bad token goes away together with a good one', () => {
      const twice = provider({
        headers: [
          { name: 'x-0', prefix: 'A ' },
          { name: 'x-0', prefix: 'B ' },
        ],
      });
      const request = requestWith(['x-0', `A bad.bad.bad`, 'x-0', `B ${token}`]);

      expect(said(authenticatorOf(twice, ofSecond()).authenticate(request, NOW))).to.equal('Jwt header is an invalid JSON');
    });
  });

  describe('with rules that demand their token', () => {
    const at = (name: string): Partial<JwtProvider> => ({ headers: [{ name, prefix: '' }], params: [] });
    const demanded: Partial<JwtProvider> = { required: true };

    it('refuses a request without it, and speaks of no error', () => {
      expect(authenticatorOf(provider(demanded)).authenticate(requestWith([], '/p'), NOW)).to.deep.equal({
        kind: 'refused',
        fault: 'Jwt is missing',
        reply: {
          kind: 'reply',
          status: 401,
          body: 'Jwt is missing',
          headers: ['www-authenticate', 'Bearer realm="http://app.foo:8000/p"'],
          close: false,
          details: 'jwt_authn_access_denied{Jwt_is_missing}',
        },
        rule: provider().source,
      });
    });

    for (const [name, first, other, expected] of [
      ['both tokens', 'good', 'good', `${SECOND_ISSUER}/you`],
      ['the demanded one alone', 'good', '', `${ISSUER}/me`],
      ['the other one alone', '', 'good', 'Jwt is missing'],
      ['none', '', '', 'Jwt is missing'],
      ['the demanded one and a bad one', 'good', 'bad', 'not in the form'],
      ['a bad one and the other', 'bad', 'good', 'not in the form'],
    ] as const) {
      it(`beside a rule that does not, judges ${name}`, () => {
        const rules = authenticatorOf(provider({ ...demanded, ...at('x-0') }), ofSecond(at('x-1')));
        const texts = { good: [token, secondToken], bad: ['bad', 'bad'] };
        const headers = [
          ...(first === '' ? [] : ['x-0', texts[first][0] as string]),
          ...(other === '' ? [] : ['x-1', texts[other][1] as string]),
        ];

        expect(said(rules.authenticate(requestWith(headers), NOW))).to.contain(expected);
      });
    }

    it('wants every token when all are demanded, and takes them all away', () => {
      const rules = authenticatorOf(provider({ ...demanded, ...at('x-0') }), ofSecond({ ...demanded, ...at('x-1') }));
      const request = requestWith(['x-0', token, 'x-1', secondToken, 'x-2', 'kept']);

      expect(said(rules.authenticate(request, NOW))).to.equal(`${SECOND_ISSUER}/you`);
      expect(request.headers).to.deep.equal(['x-2', 'kept']);
      expect(said(rules.authenticate(requestWith(['x-0', token]), NOW))).to.equal('Jwt is missing');
    });

    it('still passes preflights by', () => {
      const headers = ['origin', 'https://a', 'access-control-request-method', 'GET'];
      const request = { ...requestWith(headers), method: 'OPTIONS' };

      expect(said(authenticatorOf(provider(demanded)).authenticate(request, NOW))).to.equal('anonymous');
    });
  });

  describe('cached tokens', () => {
    it('are the very same object', () => {
      const rules = authenticatorOf(provider());
      const first = rules.authenticate(requestWith(bearer(token)), NOW);

      expect(rules.authenticate(requestWith(bearer(token)), NOW)).to.equal(first);
    });

    it('expire all the same, and are not valid before their time', async () => {
      const rules = authenticatorOf(provider());
      const text = await sign(key, { exp: NOW + 10, nbf: NOW });

      expect(said(rules.authenticate(requestWith(bearer(text)), NOW))).to.equal(`${ISSUER}/me`);
      expect(said(rules.authenticate(requestWith(bearer(text)), NOW + 71))).to.equal('Jwt is expired');
      expect(said(rules.authenticate(requestWith(bearer(text)), NOW - 61))).to.equal('Jwt not yet valid');
      expect(said(rules.authenticate(requestWith(bearer(text)), NOW + 70))).to.equal(`${ISSUER}/me`);
    });

    it('lend their verification to no other text with the same signature', () => {
      const rules = authenticatorOf(provider());
      rules.authenticate(requestWith(bearer(token)), NOW);
      const [head, , signature] = token.split('.');

      expect(said(rules.authenticate(requestWith(bearer(`${head}.${segment({ iss: ISSUER, sub: 'admin' })}.${signature}`)), NOW))).to.equal(
        'Jwt verification fails',
      );
    });

    it('are good for one rule only', () => {
      const rules = authenticatorOf(provider(), provider({ keySet: 'second', headers: [{ name: 'x-1', prefix: '' }] }));
      rules.authenticate(requestWith(bearer(token)), NOW);

      expect(said(rules.authenticate(requestWith(['x-1', token]), NOW))).to.equal('Jwt verification fails');
    });
  });
});
