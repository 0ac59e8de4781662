import { expect } from 'chai';
import { tokenFaultText } from '../../../src/explain/token-fault-text.ts';
import { enforce, ISSUER, jwtPolicy, NOW } from './support.ts';

type Fault = Parameters<typeof tokenFaultText>[0];
type KeySets = Parameters<typeof tokenFaultText>[2]['keySets'];
type Key = KeySets[string]['keys'][number];

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function token(claims: object, header: object = { alg: 'RS256', kid: 'k1' }): string {
  return `${encode(header)}.${encode(claims)}.c2ln`;
}

function textFor(fault: Fault, text: string, { rule = {}, keys }: { readonly rule?: object; readonly keys?: readonly Key[] } = {}): string {
  const [provider] = enforce([jwtPolicy(rule)]).program.providers;
  if (provider === undefined) throw new Error('the policy has one JWT rule');
  const keySets: KeySets = keys === undefined ? {} : { [provider.keySet]: { source: 'the file', keys } };
  return tokenFaultText(fault, text, { provider, keySets, nowSeconds: NOW });
}

describe('tokenFaultText', () => {
  const times: readonly (readonly [name: string, fault: Fault, claims: object, text: string])[] = [
    ['an expired token', 'Jwt is expired', { exp: NOW - 10_800 }, 'token expired 3 h ago (exp 2026-01-31T09:00:00Z)'],
    ['a token that is not yet valid', 'Jwt not yet valid', { nbf: NOW + 600 }, 'token becomes valid in 10 min (nbf 2026-01-31T12:10:00Z)'],
  ];
  for (const [name, fault, claims, text] of times) {
    it(`reports the time of ${name}`, () => {
      expect(textFor(fault, token(claims))).to.equal(text);
    });
  }

  it('suspects milliseconds in a far nbf', () => {
    expect(textFor('Jwt not yet valid', token({ nbf: NOW * 1000 }))).to.match(/; it seems to be in milliseconds, expected seconds$/);
  });

  const issuers: readonly (readonly [name: string, claims: object, text: string])[] = [
    ['a missing issuer', {}, `the token has no iss, the policy requires ${ISSUER}`],
    ['a trailing slash', { iss: `${ISSUER}/` }, `iss ends with /, the policy requires ${ISSUER}`],
    [
      'another case',
      { iss: 'HTTPS://ISSUER.example' },
      `iss is HTTPS://ISSUER.example, the policy requires ${ISSUER} (they differ in case)`,
    ],
    [
      'another scheme',
      { iss: 'http://issuer.example' },
      `iss is http://issuer.example, the policy requires ${ISSUER} (http differs from https)`,
    ],
    [
      'another scheme and a trailing slash',
      { iss: 'issuer.example/' },
      `iss is issuer.example/, the policy requires ${ISSUER} (they differ in a trailing slash)`,
    ],
    ['whitespace', { iss: ` ${ISSUER}` }, `iss is  ${ISSUER}, the policy requires ${ISSUER} (they differ in whitespace)`],
    ['another issuer', { iss: 'me' }, `iss is me, the policy requires ${ISSUER}`],
  ];
  for (const [name, claims, text] of issuers) {
    it(`compares the issuer: ${name}`, () => {
      expect(textFor('Jwt issuer is not configured', token(claims))).to.equal(text);
    });
  }

  it('reports a missing slash at the end of the issuer', () => {
    const text = textFor('Jwt issuer is not configured', token({ iss: 'https://a' }), { rule: { issuer: 'https://a/' } });

    expect(text).to.equal('iss is https://a, the policy requires https://a/ with a / at the end');
  });

  const audiences: readonly (readonly [name: string, claims: object, text: string])[] = [
    ['no audience', {}, 'the token has no aud, the policy requires web, api'],
    ['others', { aud: ['app', 'cli'] }, 'aud is app, cli, the policy requires web, api'],
    ['another case', { aud: 'WEB' }, 'aud is WEB, the policy requires web, api (they differ in case)'],
  ];
  for (const [name, claims, text] of audiences) {
    it(`compares the audience: ${name}`, () => {
      expect(textFor('Audiences in Jwt are not allowed', token(claims), { rule: { audiences: ['web', 'api'] } })).to.equal(text);
    });
  }

  describe('for a signature', () => {
    const rsa: Key = { kty: 'RSA', kid: 'k1', n: 'AQAB', e: 'AQAB' };
    const cases: readonly (readonly [name: string, fault: Fault, header: object, keys: readonly Key[] | undefined, text: string])[] = [
      [
        'unknown keys',
        'Jwt verification fails',
        { alg: 'RS256' },
        undefined,
        `the keys of ${ISSUER} are unknown here, so the signature cannot be verified`,
      ],
      [
        'a key that does not verify it',
        'Jwt verification fails',
        { alg: 'RS256', kid: 'k1' },
        [rsa],
        'no key from the file verifies this signature (alg RS256, kid k1)',
      ],
      [
        'a key of another type',
        'Jwt verification fails',
        { alg: 'ES256' },
        [rsa],
        'no key from the file verifies this signature (alg ES256); ES256 needs a key of type EC, the type here is RSA',
      ],
      [
        'a key of the same kid for another algorithm',
        "Jwks doesn't have key to match kid or alg from Jwt",
        { alg: 'RS256', kid: 'k1' },
        [{ ...rsa, alg: 'RS512' }],
        'the token has kid k1 and alg RS256; that key from the file is for RS512 only',
      ],
      [
        'keys for other algorithms',
        "Jwks doesn't have key to match kid or alg from Jwt",
        { alg: 'RS256' },
        [
          { ...rsa, alg: 'RS512' },
          { ...rsa, kid: 'k2', alg: 'RS384' },
        ],
        'the token has no kid and alg RS256; the keys from the file are for RS512, RS384 only',
      ],
      [
        'keys of other kids',
        "Jwks doesn't have key to match kid or alg from Jwt",
        { alg: 'RS256', kid: 'k9' },
        [rsa, { kty: 'RSA', alg: 'RS512' }],
        'the token has kid k9 and alg RS256; the keys from the file are k1, (no kid) for RS512',
      ],
    ];
    for (const [name, fault, header, keys, text] of cases) {
      it(`reports ${name}`, () => {
        expect(textFor(fault, token({ iss: ISSUER }, header), keys === undefined ? {} : { keys })).to.equal(text);
      });
    }
  });

  it('returns other faults unchanged', () => {
    expect(textFor('Jwt is missing', token({}))).to.equal('Jwt is missing');
  });

  const malformed: readonly (readonly [text: string, note: string])[] = [
    ['', 'it is empty'],
    ['null', 'it is the word null: the client had no token'],
    ['[object Object]', 'it is the word [object Object]: the client had no token'],
    ['{{token}}', 'it looks like an unreplaced placeholder'],
    ['TOKEN', 'it looks like an unreplaced placeholder'],
    ['bearer a.b.c', 'it starts with a second Bearer'],
    ['a b', 'it contains " ", which is not allowed in a token'],
    ['a.b.c.d.e', 'it has 5 parts, so it is encrypted (JWE); only signed tokens are accepted'],
    ['a.b', 'it has 2 parts; an opaque access token is not a JWT'],
  ];
  for (const [text, note] of malformed) {
    it(`reports of the malformed token "${text}" that ${note}`, () => {
      expect(textFor('Jwt header is an invalid JSON', text)).to.equal(`the token is malformed: Jwt header is an invalid JSON (${note})`);
    });
  }

  it('never repeats the token', () => {
    const text = token({ iss: 'me', exp: 1 });
    const [, payload = ''] = text.split('.');

    for (const fault of ['Jwt is expired', 'Jwt issuer is not configured', 'Jwt verification fails'] as const)
      expect(textFor(fault, text)).not.to.include(payload);
  });
});
