import { expect } from 'chai';
import type { Hint } from '../../../../../src/policy/decide/hints/hint.ts';
import { formatIdentity, formatPrincipal, peerHint, requestPrincipalHint } from '../../../../../src/policy/decide/hints/identity-hint.ts';
import { parseRequestPrincipal } from '../../../../../src/policy/match/request-principal.ts';
import type { IdentityMatch } from '../../../../../src/policy/model/program.ts';

const words = (hint: Hint | undefined): string | undefined => hint && `${hint.near ? 'near' : 'far'}: ${hint.message}`;
const principal = (written: string, iss: string | undefined, sub: string | undefined): string | undefined =>
  words(requestPrincipalHint([parseRequestPrincipal(written)], { ...(iss !== undefined && { iss }), ...(sub !== undefined && { sub }) }));
const peer = (match: IdentityMatch, uri: string): string | undefined =>
  words(peerHint([match], { uris: [uri], dnsNames: [], subject: '' }));
const exact = (value: string): IdentityMatch => ({ kind: 'exact', value });

describe('a hint at a request principal', () => {
  for (const [what, written, iss, sub, expected] of [
    ['no issuer', 'a/b', undefined, 'b', 'far: the token has no iss; a request principal requires both iss and sub'],
    ['an empty subject', 'a/b', 'a', '', 'far: the token has no sub; a request principal requires both iss and sub'],
    ['neither', 'a/b', undefined, undefined, 'far: the token has no iss and no sub; a request principal requires both iss and sub'],
    [
      'a subject with a slash',
      'a/b/c',
      'a',
      'b/c',
      'near: the subject contains a slash, and a request principal is split at its last one: use request.auth.claims[iss] and [sub] under when',
    ],
    ['a slash after the issuer', 'a/b', 'a/', 'b', 'near: iss ends in /, the policy says a: write a//b'],
    ['no slash after the issuer', 'a//b', 'a', 'b', 'near: iss does not end in /, the policy says a/: write a/b'],
    ['another case', 'A/b', 'a', 'B', 'near: differs only in case from A/b'],
    ['the subject alone', 'b/', 'a', 'b', 'near: a request principal is an issuer, a slash and a subject: write a/b'],
    ['the issuer alone', 'a/', 'a', 'b', 'near: a request principal is an issuer, a slash and a subject: write a/b'],
    ['something else alone', 'c/', 'a', 'b', undefined],
    ['another subject', 'a/c', 'a', 'b', 'far: the issuer matches, but the subject is b'],
    ['another subject with a slash', 'a/c', 'a', 'b/d', 'far: the issuer matches, but the subject is b/d'],
    ['another issuer', 'c/b', 'a', 'b', undefined],
  ] as const) {
    it(`is ${expected === undefined ? 'absent' : expected.split(':')[0]} for ${what}`, () => {
      expect(principal(written, iss, sub)).to.equal(expected);
    });
  }

  it('writes principals as policies do', () => {
    for (const written of ['*', 'a/b', 'a/*', '*/b']) expect(formatPrincipal(parseRequestPrincipal(written)), written).to.equal(written);
  });
});

describe('a hint at a peer', () => {
  it('says that the connection has no identity', () => {
    expect(words(peerHint([exact('a')], undefined))).to.equal('far: the connection has no peer identity (mTLS)');
  });

  for (const [what, match, uri, expected] of [
    ['the scheme', exact('spiffe://spiffe://a/b'), 'spiffe://a/b', 'near: an identity is written without spiffe://: write a/b'],
    ['case', exact('spiffe://a/B'), 'spiffe://a/b', 'near: differs only in case from a/B'],
    ['the case of a prefix', { kind: 'prefix', value: 'spiffe://A' }, 'spiffe://a/b', 'near: differs only in case from A*'],
    [
      'the trust domain',
      exact('spiffe://x/b'),
      'spiffe://a/b',
      'near: differs only in the trust domain: the peer has a, the policy says x',
    ],
    ['all', exact('spiffe://x/c'), 'spiffe://a/b', undefined],
    ['the kind of match', { kind: 'suffix', value: 'spiffe://A/B' }, 'spiffe://a/b', undefined],
    ['its own domain', exact('spiffe://a/c'), 'spiffe://a/b', undefined],
  ] as const) {
    it(`is ${expected === undefined ? 'absent' : 'near'} when ${what} differs`, () => {
      expect(peer(match, uri)).to.equal(expected);
    });
  }

  it('writes identities as policies do', () => {
    for (const [match, written] of [
      [{ kind: 'spiffeSuffix', value: '/b' }, '*/b'],
      [{ kind: 'namespace', pattern: 'a*' }, 'namespace a*'],
      [{ kind: 'serviceAccount', namespace: 'a', name: 'b' }, 'service account a/b'],
      [{ kind: 'trustDomain', prefix: 'a', suffix: 'b' }, 'trust domain a*b'],
      [{ kind: 'prefix', value: 'spiffe://a' }, 'a*'],
      [{ kind: 'present' }, '*'],
    ] as const)
      expect(formatIdentity(match)).to.equal(written);
  });
});
