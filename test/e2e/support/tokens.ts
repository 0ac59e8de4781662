/*
 * The tokens and keys of the task: Istio's public demo tokens with their key set, and tokens of a second key pair for cases that
 * the demo tokens do not cover. The issuer of the suites serves both keys in one key set.
 * @see istio/istio security/tools/jwt/samples: demo.jwt, groups-scope.jwt, jwks.json
 */
import { makeTokens } from '../../../examples/jwt-task/make-tokens.ts';

const demoKeys = [
  {
    e: 'AQAB',
    kid: 'DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ',
    kty: 'RSA',
    n: 'xAE7eB6qugXyCAG3yhh7pkDkT65pHymX-P7KfIupjf59vsdo91bSP9C8H07pSAGQO1MV_xFj9VswgsCg4R6otmg5PV2He95lZdHtOcU5DXIg_pbhLdKXbi66GlVeK6ABZOUW3WYtnNHD-91gVuoeJT_DwtGGcp4ignkgXfkiEm4sw-4sfb4qdt5oLbyVpmW6x9cfa7vs2WTfURiCrBoUqgBo_-4WTiULmmHSGZHOjzwa8WtrtOQGsAFjIbno85jp6MnGGGZPYZbDAa_b3y5u-YpW7ypZrvD8BgtKVjgtQgZhLAGezMt0ua3DRrWnKqTZ0BJ_EyxOGuHJrLsn00fnMQ',
  },
];

/** Claims: iss and sub `testing@secure.istio.io`, foo; no groups. */
const demoToken =
  'eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg';

/** The same with groups `["group1", "group2"]` and scope `["scope1", "scope2"]`. */
const demoTokenGroup =
  'eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjM1MzczOTExMDQsImdyb3VwcyI6WyJncm91cDEiLCJncm91cDIiXSwiaWF0IjoxNTM3MzkxMTA0LCJpc3MiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyIsInNjb3BlIjpbInNjb3BlMSIsInNjb3BlMiJdLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.EdJnEZSH6X8hcyEii7c8H5lnhgjB5dwo07M5oheC8Xz8mOllyg--AHCFWHybM48reunF--oGaG6IXVngCEpVF0_P5DwsUoBgpPmK1JOaKN6_pe9sh0ZwTtdgK_RP01PuI7kUdbOTlkuUi2AO-qUyOm7Art2POzo36DLQlUXv8Ad7NBOqfQaKjE9ndaPWT7aexUsBHxmgiGbz1SyLH879f7uHYPbPKlpHU6P9S-DaKnGLaEchnoKnov7ajhrEhGXAQRukhDPKUHO9L30oPIr5IJllEQfHYtt6IZvlNUGeLUcif3wpry1R5tBXRicx2sXMQ7LyuDremDbcNy_iE76Upg';

/** The token that a row sends; `none` sends no Authorization header. */
export type TokenName = 'none' | 'invalidToken' | 'TOKEN' | 'TOKEN_GROUP' | 'own list' | 'own string' | 'own expired' | 'other key';

export interface TaskTokens {
  /** The key set to serve, as JSON. */
  readonly jwks: string;
  /** Text after `Bearer `; `none` is the empty string. */
  readonly text: Readonly<Record<TokenName, string>>;
}

/** The demo tokens and newly signed ones. */
export async function taskTokens(): Promise<TaskTokens> {
  const { jwks, tokens } = await makeTokens(Math.floor(Date.now() / 1000));
  const { keys } = JSON.parse(jwks) as { readonly keys: readonly object[] };
  return {
    jwks: JSON.stringify({ keys: [...demoKeys, ...keys] }),
    text: {
      none: '',
      invalidToken: 'invalidToken',
      TOKEN: demoToken,
      TOKEN_GROUP: demoTokenGroup,
      'own list': tokens['token-group'],
      'own string': tokens['token-group-string'],
      'own expired': tokens['token-expired'],
      'other key': tokens['token-other-key'],
    },
  };
}
