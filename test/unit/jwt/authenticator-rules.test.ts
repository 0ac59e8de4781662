import { expect } from 'chai';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { authenticatorOf, bearer, key, ofSecond, SECOND_ISSUER, said, second, secondToken, token } from './authenticators.ts';
import { ISSUER, NOW, provider, requestWith, type SigningKey, segment, sign } from './tokens.ts';

describe('an authenticator with several rules', () => {
  const here = (name: string): Partial<JwtProvider> => ({ headers: [{ name, prefix: '' }], params: [] });

  it('accepts a token that any rule accepts', () => {
    const rules = authenticatorOf(provider(), ofSecond());

    expect(said(rules.authenticate(requestWith(bearer(token)), NOW))).to.equal(`${ISSUER}/me`);
    expect(said(rules.authenticate(requestWith(bearer(secondToken)), NOW))).to.equal(`${SECOND_ISSUER}/you`);
    expect(said(rules.authenticate(requestWith([]), NOW))).to.equal('anonymous');
  });

  it('stops at the first rule that accepts and leaves the tokens of the others', () => {
    const rules = authenticatorOf(provider(here('x-0')), ofSecond({ ...here('x-1'), payloadHeader: 'x-out' }));
    const request = requestWith(['x-0', token, 'x-1', 'garbage']);

    expect(said(rules.authenticate(request, NOW))).to.equal(`${ISSUER}/me`);
    expect(request.headers).to.deep.equal(['x-1', 'garbage']);
  });

  it('joins the output headers of two tokens when the header is inline', () => {
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
    it(`reports "${fault}" when tokens are ${name}`, async () => {
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

  it('accepts tokens of two issuers in the same locations', async () => {
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

  it('refuses an invalid token that would be removed together with a valid one', () => {
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

describe('an authenticator with required tokens', () => {
  const at = (name: string): Partial<JwtProvider> => ({ headers: [{ name, prefix: '' }], params: [] });
  const required: Partial<JwtProvider> = { required: true };

  it('refuses a request without the token, without an error in the challenge', () => {
    expect(authenticatorOf(provider(required)).authenticate(requestWith([], '/p'), NOW)).to.deep.equal({
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
    ['the required token alone', 'good', '', `${ISSUER}/me`],
    ['the optional token alone', '', 'good', 'Jwt is missing'],
    ['no token', '', '', 'Jwt is missing'],
    ['the required token and an invalid one', 'good', 'bad', 'not in the form'],
    ['an invalid token and the optional one', 'bad', 'good', 'not in the form'],
  ] as const) {
    it(`evaluates ${name} when another rule is optional`, () => {
      const rules = authenticatorOf(provider({ ...required, ...at('x-0') }), ofSecond(at('x-1')));
      const texts = { good: [token, secondToken], bad: ['bad', 'bad'] };
      const headers = [
        ...(first === '' ? [] : ['x-0', texts[first][0] as string]),
        ...(other === '' ? [] : ['x-1', texts[other][1] as string]),
      ];

      expect(said(rules.authenticate(requestWith(headers), NOW))).to.contain(expected);
    });
  }

  it('requires every token when all are required, and removes them all', () => {
    const rules = authenticatorOf(provider({ ...required, ...at('x-0') }), ofSecond({ ...required, ...at('x-1') }));
    const request = requestWith(['x-0', token, 'x-1', secondToken, 'x-2', 'kept']);

    expect(said(rules.authenticate(request, NOW))).to.equal(`${SECOND_ISSUER}/you`);
    expect(request.headers).to.deep.equal(['x-2', 'kept']);
    expect(said(rules.authenticate(requestWith(['x-0', token]), NOW))).to.equal('Jwt is missing');
  });

  it('ignores preflights', () => {
    const headers = ['origin', 'https://a', 'access-control-request-method', 'GET'];
    const request = { ...requestWith(headers), method: 'OPTIONS' };

    expect(said(authenticatorOf(provider(required)).authenticate(request, NOW))).to.equal('anonymous');
  });
});

describe('cached tokens of an authenticator', () => {
  it('are the same object', () => {
    const rules = authenticatorOf(provider());
    const first = rules.authenticate(requestWith(bearer(token)), NOW);

    expect(rules.authenticate(requestWith(bearer(token)), NOW)).to.equal(first);
  });

  it('expire, and are not valid before nbf', async () => {
    const rules = authenticatorOf(provider());
    const text = await sign(key, { exp: NOW + 10, nbf: NOW });

    expect(said(rules.authenticate(requestWith(bearer(text)), NOW))).to.equal(`${ISSUER}/me`);
    expect(said(rules.authenticate(requestWith(bearer(text)), NOW + 71))).to.equal('Jwt is expired');
    expect(said(rules.authenticate(requestWith(bearer(text)), NOW - 61))).to.equal('Jwt not yet valid');
    expect(said(rules.authenticate(requestWith(bearer(text)), NOW + 70))).to.equal(`${ISSUER}/me`);
  });

  it('are not found by another token with the same signature', () => {
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
