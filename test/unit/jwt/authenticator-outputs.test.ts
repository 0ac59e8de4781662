import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import type { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import { createAuthenticator } from '../../../src/jwt/authenticator.ts';
import { authenticatorOf, bearer, key, ofSecond, said, setOf, token } from './authenticators.ts';
import { ISSUER, NOW, provider, requestWith, segment, sign } from './tokens.ts';

describe('output headers of verified tokens', () => {
  const outputs = {
    payloadHeader: 'x-payload',
    claimHeaders: [
      { header: 'X-Sub', claim: 'sub' },
      { header: 'x-missing', claim: 'no.such' },
      { header: 'x-deep', claim: 'a.b' },
    ],
  };

  it('contain the payload and the claims of the token, in order', async () => {
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

  it('contain the payload as sent, including line breaks of a token in the query', () => {
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

  for (const name of [':path', ':method', ':authority', 'host', ':scheme'] as const) {
    it(`named ${name} take the pseudo header from the client, with a token or without`, () => {
      for (const [headers, expected] of [
        [[], []],
        [bearer('junk'), []],
        [bearer(token), ['me']],
      ] as const) {
        const request = requestWith(headers);
        authenticatorOf(provider({ claimHeaders: [{ header: name, claim: 'sub' }] })).authenticate(request, NOW);
        const values = (request as PreparedRequest).headerValues(name);

        // Rules apply to paths: a request that has none is anonymous.
        expect(values, headers.join()).to.deep.equal(name === ':path' ? [] : expected);
      }
    });
  }

  it('leave the pseudo headers alone that none of them has the name of', () => {
    const request = requestWith(bearer(token));
    authenticatorOf(provider({ claimHeaders: [{ header: ':method', claim: 'sub' }] })).authenticate(request, NOW);

    expect((request as PreparedRequest).removed).to.deep.equal(['method']);
  });

  it('are removed from the request for every rule, whichever rule accepts', () => {
    const request = requestWith([...bearer(token), 'x-second', 'forged']);
    authenticatorOf(provider(), ofSecond({ payloadHeader: 'x-second' })).authenticate(request, NOW);

    expect(request.headers).to.deep.equal([]);
  });

  it('of a rule that refuses later are removed when another rule sets the same ones, and stay otherwise', async () => {
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

  it('are removed before the token is extracted from the same header', () => {
    const request = requestWith(bearer(token));

    expect(said(authenticatorOf(provider({ payloadHeader: 'authorization' })).authenticate(request, NOW))).to.equal('anonymous');
    expect(request.headers).to.deep.equal([]);
  });

  it('are added once for each token', () => {
    const request = requestWith(['x-jwt', token, 'x-jwt', token]);
    authenticatorOf(provider({ headers: [{ name: 'x-jwt', prefix: '' }], claimHeaders: [{ header: 'x-sub', claim: 'sub' }] })).authenticate(
      request,
      NOW,
    );

    expect(request.headers).to.deep.equal(['x-sub', 'me', 'x-sub', 'me']);
  });
});
