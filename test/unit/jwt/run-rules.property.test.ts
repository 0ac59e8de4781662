import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { type Authentication, createAuthenticator } from '../../../src/jwt/authenticator.ts';
import { TokenCache } from '../../../src/jwt/token-cache.ts';
import type { TokenRequest } from '../../../src/jwt/token-request.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { authenticateNaively, type NaiveResult } from './naive-authenticator.ts';
import { NOW, provider, requestWith, segment, unsigned } from './tokens.ts';

const SECRETS = ['one', 'two'].map((name) => Buffer.alloc(32, name));
const secretKey = (at: number, members: object = {}): KeySet['keys'][number] => ({
  kty: 'oct',
  k: SECRETS[at]?.toString('base64url') ?? '',
  ...members,
});
const KEY_SETS: Readonly<Record<string, KeySet>> = {
  one: { source: 'test', keys: [secretKey(0)] },
  two: { source: 'test', keys: [secretKey(1, { kid: 'k' })] },
  both: { source: 'test', keys: [secretKey(0, { kid: 'other' }), secretKey(1)] },
  empty: { source: 'test', keys: [] },
};

function signed(payload: object, secret: number, header: object): string {
  const text = `${segment({ alg: 'HS256', ...header })}.${segment(payload)}`;
  return `${text}.${createHmac('sha256', SECRETS[secret] ?? '')
    .update(text)
    .digest('base64url')}`;
}

const issuer = fc.constantFrom('a', 'b', 'c', '');
const maybe = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> => fc.constantFrom(undefined, undefined, ...values);
const validToken = fc
  .record({
    payload: fc.record({
      iss: issuer,
      sub: fc.constantFrom('s', 't'),
      aud: maybe('x', 'y'),
      exp: maybe(NOW + 5, 1),
      nbf: maybe(NOW + 100),
    }),
    secret: fc.constantFrom(0, 0, 0, 1),
    header: fc.record({ kid: maybe('k', 'other') }),
  })
  .map(({ payload, secret, header }) => signed(payload, secret, header));
// Few of them, so that they come back and are found in the cache.
const tokens = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: validToken },
    { weight: 1, arbitrary: fc.constantFrom('garbage', 'a.b.c', '', unsigned({ iss: 'a' }), unsigned({ iss: 'b' }, { alg: 'HS256' })) },
  ),
  { minLength: 1, maxLength: 5 },
);

const headers = fc.subarray([
  { name: 'x-0', prefix: '' },
  { name: 'x-1', prefix: '' },
  { name: 'x-1', prefix: 'B ' },
  { name: 'authorization', prefix: 'Bearer ' },
]);
const rule: fc.Arbitrary<JwtProvider> = fc
  .record({
    issuer,
    headers: fc.oneof(fc.constant([{ name: 'x-0', prefix: '' }]), headers),
    params: fc.subarray(['t']),
    cookies: fc.constantFrom([], [], ['c']),
    audiences: fc.constantFrom([], [], ['x']),
    forward: fc.boolean(),
    payloadHeader: fc.constantFrom('', '', 'x-out', 'x-1'),
    claimHeaders: fc.constantFrom([], [], [{ header: 'x-sub', claim: 'sub' }]),
    keySet: fc.constantFrom('one', 'one', 'both', 'two', 'empty', 'missing'),
    required: fc.constantFrom(false, false, false, false, false, false, false, true),
  })
  .map((changes) => provider(changes));
const rules = fc
  .array(rule, { minLength: 1, maxLength: 7 })
  .map((all) => all.map((one, at) => ({ ...one, name: `origins-${at}`, source: { ...one.source, rule: at } })));

interface Sent {
  readonly places: readonly (readonly [place: string, token: number])[];
  readonly now: number;
}
const place = fc.tuple(fc.constantFrom('x-0', 'x-0', 'x-1', 'x-1 B', 'authorization', 't', 'c'), fc.nat({ max: 4 }));
const sent: fc.Arbitrary<Sent> = fc.record({ places: fc.array(place, { maxLength: 4 }), now: fc.constantFrom(NOW, NOW, NOW + 1000) });

function toRequest({ places }: Sent, pool: readonly string[]): TokenRequest {
  const list: string[] = ['x-sub', 'forged'];
  let target = '/path?z=1';
  for (const [where, at] of places) {
    const token = pool[at % pool.length] ?? '';
    if (where === 't') target += `&t=${token}`;
    else if (where === 'c') list.push('cookie', `c=${token}`);
    else if (where === 'authorization') list.push(where, `Bearer ${token}`);
    else if (where === 'x-1 B') list.push('x-1', `B ${token}`);
    else list.push(where, token);
  }
  return requestWith(list, target);
}

function described(result: Authentication): NaiveResult {
  switch (result.kind) {
    case 'anonymous':
      return { anonymous: true };
    case 'verified':
      return { principal: result.principal, rule: result.provider.source.rule ?? -1 };
    case 'refused':
      return { fault: result.fault, rule: result.rule.rule ?? -1 };
  }
}

describe('the rules of an authenticator', () => {
  it('have the result of running every rule on every token, also when tokens come back', () => {
    fc.assert(
      fc.property(rules, tokens, fc.array(sent, { minLength: 1, maxLength: 8 }), fc.boolean(), (providers, pool, requests, isSmall) => {
        const cache = new TokenCache(isSmall ? 20_000 : undefined);
        const authenticator = createAuthenticator(providers, KEY_SETS, { cache });
        for (const one of requests) {
          const request = toRequest(one, pool);
          const expected = toRequest(one, pool);
          const result = described(authenticator.authenticateKnown(request, one.now) ?? authenticator.authenticate(request, one.now));

          expect(result).to.deep.equal(authenticateNaively(providers, KEY_SETS, expected, one.now));
          expect(request.headers).to.deep.equal(expected.headers);
          expect(request.target).to.equal(expected.target);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
