/*
 * Keys, tokens and authenticators for the tests of the authenticator. Not a test itself.
 */
import type { BundleKey, KeySet } from '../../../src/bundle/bundle.ts';
import { type Authentication, type Authenticator, createAuthenticator } from '../../../src/jwt/authenticator.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { makeKey, provider, type SigningKey, sign } from './tokens.ts';

/** The issuer of {@link secondToken}. */
export const SECOND_ISSUER = 'https://second.example';

/** Istio's own demo key and tokens, from its documentation. @see istio security/tools/jwt/samples */
const DEMO_KEY: BundleKey = {
  kty: 'RSA',
  e: 'AQAB',
  kid: 'DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ',
  n: 'xAE7eB6qugXyCAG3yhh7pkDkT65pHymX-P7KfIupjf59vsdo91bSP9C8H07pSAGQO1MV_xFj9VswgsCg4R6otmg5PV2He95lZdHtOcU5DXIg_pbhLdKXbi66GlVeK6ABZOUW3WYtnNHD-91gVuoeJT_DwtGGcp4ignkgXfkiEm4sw-4sfb4qdt5oLbyVpmW6x9cfa7vs2WTfURiCrBoUqgBo_-4WTiULmmHSGZHOjzwa8WtrtOQGsAFjIbno85jp6MnGGGZPYZbDAa_b3y5u-YpW7ypZrvD8BgtKVjgtQgZhLAGezMt0ua3DRrWnKqTZ0BJ_EyxOGuHJrLsn00fnMQ',
};
/** Signed by `DEMO_KEY`, which is the key set `demo`. */
export const DEMO_TOKEN =
  'eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg';

/** A key set of these keys. */
export const setOf = (...keys: readonly BundleKey[]): KeySet => ({ source: 'test', keys });

/** Signs {@link token}. */
export const key: SigningKey = await makeKey('ES256');
/** Signs {@link secondToken}. */
export const second: SigningKey = await makeKey('ES256');
/** A valid token of subject `me`. */
export const token: string = await sign(key);
/** A valid token of {@link SECOND_ISSUER} and subject `you`. */
export const secondToken: string = await sign(second, { iss: SECOND_ISSUER, sub: 'you' });

const keySets: Readonly<Record<string, KeySet>> = { keys: setOf(key.publicKey), second: setOf(second.publicKey), demo: setOf(DEMO_KEY) };

/** Headers with a bearer token. */
export const bearer = (encoded: string): string[] => ['authorization', `Bearer ${encoded}`];

/** An authenticator of these rules that has all keys. */
export const authenticatorOf = (...providers: readonly JwtProvider[]): Authenticator => createAuthenticator(providers, keySets);

/** A rule for {@link secondToken}. */
export const ofSecond = (changes: Partial<JwtProvider> = {}): JwtProvider =>
  provider({ issuer: SECOND_ISSUER, keySet: 'second', name: 'origins-1', ...changes });

/** The fault of a refused token, the principal of a verified one, or `anonymous`. */
export function said(authentication: Authentication): string {
  switch (authentication.kind) {
    case 'anonymous':
      return 'anonymous';
    case 'verified':
      return authentication.principal;
    case 'refused':
      return authentication.fault;
  }
}
