/*
 * Incidents of other products with tokens and keys, replayed on the whole filter chain. The test names give the identifiers;
 * `docs/explain/incidents.md` lists them with their countermeasures.
 */
import { createHmac, createPublicKey, generateKeyPairSync, sign as rawSign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { RequestAuthentication } from '../../../src/api/istio/resources.ts';
import type { BundleKey, KeySet } from '../../../src/bundle/bundle.ts';
import { collectKeySets } from '../../../src/compile/key-sets.ts';
import { createFilterChain } from '../../../src/filters/filter-chain.ts';
import { parseJwks } from '../../../src/jwt/parse-jwks.ts';
import { MAX_TOKEN_LENGTH } from '../../../src/jwt/parse-token.ts';
import { allow, filterChainOf, policy, programOf, raw, verdictOf } from '../filters/chains.ts';
import { ISSUER, makeKey, NOW, type SigningKey, segment, sign } from '../jwt/tokens.ts';

const FAILS = 'Jwt verification fails';
const bearer = (text: string): readonly string[] => ['Authorization', `Bearer ${text}`];
const keysOf = (...keys: readonly BundleKey[]): KeySet => ({ source: 'test', keys });
const requests = (...rules: readonly object[]): object => policy('RequestAuthentication', 'ra', { jwtRules: rules });
const RULE = { issuer: ISSUER, jwks: 'unused' };
/** Allows only requests with a verified token. */
const AUTHENTICATED = allow('a', { from: [{ source: { requestPrincipals: ['*'] } }] });

/** A key for tokens that no library creates. */
const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ownKeys: KeySet = { source: 'test', keys: [own.publicKey.export({ format: 'jwk' }) as BundleKey] };

function signedByOwn(header: unknown, payload: unknown): string {
  const text = `${segment(header)}.${segment(payload)}`;
  return `${text}.${rawSign('sha256', Buffer.from(text), { key: own.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Status and body of the reply to a token, or its principal. */
function resultOf(keys: KeySet | undefined, headers: readonly string[], rules: readonly object[] = [RULE]): string {
  const filterChain = filterChainOf([requests(...rules), AUTHENTICATED], keys === undefined ? {} : { keys });
  const verdict = filterChain.evaluate(raw('/', headers), NOW);
  if (verdict.kind === 'forward') return verdict.log.principal;
  return verdict.kind === 'reply' ? `${verdict.status} ${verdict.body}` : verdict.kind;
}

describe('incidents with keys', () => {
  let key: SigningKey;
  let token: string;
  before(async () => {
    key = await makeKey('RS256', { kid: 'DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ' });
    token = await sign(key, {}, { kid: key.publicKey['kid'] });
  });

  it('CVE-2026-31837: without keys no token is accepted, regardless of its signer', async () => {
    const { value } = parsePolicy(requests({ issuer: ISSUER, jwksUri: 'http://unreachable.example/keys' }));
    const { keySets } = collectKeySets([value as RequestAuthentication], { namespace: undefined, keySetOf: () => undefined });
    expect(keySets).to.deep.equal({});
    const filterChain = createFilterChain(programOf([requests({ issuer: ISSUER, jwksUri: 'http://unreachable.example/keys' })]), keySets);
    const others = await Promise.all(['ES256', 'EdDSA', 'HS256', 'PS512'].map(async (alg) => sign(await makeKey(alg))));
    const empty = `${segment({ alg: 'HS256' })}.${segment({ iss: ISSUER })}`;
    const emptySecret = `${empty}.${createHmac('sha256', '').update(empty).digest('base64url')}`;
    for (const text of [token, ...others, emptySecret, `${token.split('.').slice(0, 2).join('.')}.`]) {
      const verdict = filterChain.evaluate(raw('/', bearer(text)), NOW);
      expect(verdict.kind === 'reply' ? verdict.status : verdict.kind, text).to.equal(401);
    }
  });

  it('CVE-2026-31837: an empty key set and sets of invalid keys verify no token', () => {
    const set = (...keys: readonly unknown[]): readonly BundleKey[] => parseJwks(JSON.stringify({ keys })).keys;
    for (const keys of [
      set(),
      set({ kty: 'RSA', n: 'AQAB', e: 'AQAB' }),
      set({ kty: 'RSA', n: Buffer.alloc(256, 1).toString('base64url'), e: 'AQAB' }),
      set({ kty: 'oct', k: '' }),
    ]) {
      expect(resultOf(keysOf(...keys), bearer(token))).to.equal(`401 ${FAILS}`);
    }
    expect(resultOf(undefined, bearer(token))).to.equal(`401 ${FAILS}`);
    expect(resultOf(keysOf(key.publicKey), bearer(token))).to.equal(`${ISSUER}/me`);
  });

  it('CVE-2026-31837: the sources contain no private key', () => {
    const root = join(import.meta.dirname, '../../../src');
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    expect(files.length).to.be.greaterThan(100);
    for (const name of files) {
      const text = readFileSync(join(root, name), 'utf8');
      expect(text, name).not.to.match(/BEGIN [A-Z ]*PRIVATE KEY|["']?\b(?:d|dp|dq|qi)["']?: *["'][A-Za-z0-9_-]{20,}["']/);
    }
  });

  it('RFC 7517: private members never reach a bundle, and an HMAC key is not a public key', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { keys } = parseJwks(JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }));
    expect(Object.keys(keys[0] ?? {}).sort()).to.deep.equal(['e', 'kty', 'n']);
    expect(parseJwks('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', { symmetric: false }).keys).to.deep.equal([]);
  });

  it('RFC 7517: the same kid twice: both keys are tried; another alg of the key refuses', async () => {
    const other = await makeKey('RS256', { kid: key.publicKey['kid'] ?? '' });
    expect(resultOf(keysOf(other.publicKey, key.publicKey), bearer(token))).to.equal(`${ISSUER}/me`);
    expect(resultOf(keysOf({ ...key.publicKey, alg: 'RS512' }), bearer(token))).to.contain('401 Jwks');
  });
});

const rsa: SigningKey = await makeKey('RS256', { kid: 'rsa' });
const ec: SigningKey = await makeKey('ES256', { kid: 'ec' });
const keys: KeySet = keysOf(rsa.publicKey, ec.publicKey);
const good: string = await sign(rsa);

/** The token is refused by `keys`. */
const refused = (text: string): void => {
  expect(resultOf(keys, bearer(text)), text.slice(0, 200)).to.match(/^401 Jw/);
};

describe('incidents with signatures and headers of tokens', () => {
  it('GHSA-g2pf: an absent or empty signature is refused', () => {
    const [header = '', payload = ''] = good.split('.');
    for (const text of [
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}.${payload}..`,
      `${header}.${payload}.=`,
      `..${header}.${payload}.`,
    ])
      refused(text);
  });

  it('alg none is refused in every spelling, with and without a signature', () => {
    for (const alg of ['none', 'None', 'nOnE', 'NONE', ' none', 'none ', '', 'n\u043ene']) {
      for (const signature of ['', 'AA', good.split('.')[2] ?? ''])
        refused(`${segment({ alg })}.${segment({ iss: ISSUER, sub: 'me' })}.${signature}`);
    }
  });

  it('alg of another type, and an absent alg, are refused', () => {
    for (const alg of [null, 0, true, [], ['RS256'], {}, undefined, 'rs256', 'RS1', 'RSA1_5', 'dir', 'ES256K']) {
      refused(`${segment({ alg })}.${good.split('.').slice(1).join('.')}`);
    }
  });

  it('CVE-2026-29000, CVE-2016-5431: a public key is never an HMAC secret, in no encoding', () => {
    for (const { publicKey } of [rsa, ec]) {
      const object = createPublicKey({ key: { ...publicKey }, format: 'jwk' });
      const secrets = [
        ...(['pem', 'der'] as const).map((format) => object.export({ type: 'spki', format: format as 'pem' })),
        JSON.stringify(publicKey),
        publicKey['n'] ?? publicKey['x'] ?? '',
        Buffer.from(publicKey['n'] ?? publicKey['x'] ?? '', 'base64url'),
        '',
      ];
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        for (const secret of secrets) {
          for (const kid of [undefined, publicKey['kid']]) {
            const text = `${segment({ alg, kid })}.${segment({ iss: ISSUER, sub: 'me' })}`;
            refused(
              `${text}.${createHmac(`sha${alg.slice(2)}`, secret)
                .update(text)
                .digest('base64url')}`,
            );
          }
        }
      }
    }
  });

  it('CVE-2018-0114: keys in the header are never read', async () => {
    const evil = await makeKey('RS256');
    for (const header of [
      { jwk: evil.publicKey },
      { jwk: evil.publicKey, kid: 'rsa' },
      { jku: 'http://127.0.0.1:1/keys' },
      { x5u: 'http://127.0.0.1:1/cert' },
      { x5c: ['MIIB'] },
      { x5t: 'AA', 'x5t#S256': 'AA' },
    ]) {
      refused(await sign(evil, {}, header));
    }
  });

  it('kid is only compared, whether it is the name of a prototype, a path, SQL or very long', async () => {
    for (const kid of [
      '__proto__',
      'constructor',
      'toString',
      '../../dev/null',
      "x' UNION SELECT 'key",
      '',
      '\u0000',
      'k'.repeat(40_000),
    ]) {
      const named = await makeKey('ES256', kid === '' ? {} : { kid });
      const text = await sign(named, {}, { kid });
      expect(resultOf(keysOf(named.publicKey), bearer(text)), kid.slice(0, 20)).to.equal(`${ISSUER}/me`);
      expect(resultOf(keys, bearer(text)), kid.slice(0, 20)).to.match(/^401 /);
    }
  });

  it('kid of another type, or of a megabyte, is refused', () => {
    for (const kid of [null, 1, {}, ['rsa'], 'k'.repeat(1024 * 1024)])
      refused(`${segment({ alg: 'RS256', kid })}.${good.split('.').slice(1).join('.')}`);
  });

  it('CVE-2024-28176, CVE-2022-36083: an encrypted token is refused by its number of parts', () => {
    const header = segment({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31, zip: 'DEF' });
    expect(resultOf(keys, bearer(`${header}.AA.AA.AA.AA`))).to.equal(
      '401 Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
    );
  });
});

describe('incidents with claims of tokens', () => {
  it('CVE-2026-48042: deep and wide JSON, and tokens of a megabyte, are refused', () => {
    const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    for (const payload of [
      deep(20_000),
      `{"a":${deep(101)}}`,
      '{"a":'.repeat(5000),
      `{"a":"${'x'.repeat(1024 * 1024)}"}`,
      `"${'\\u0000'.repeat(5000)}"`,
    ]) {
      refused(`${segment({ alg: 'RS256' })}.${segment(payload)}.AA`);
      refused(`${segment(payload)}.${segment({ iss: ISSUER })}.AA`);
    }
    refused('.'.repeat(MAX_TOKEN_LENGTH));
    refused(`${'A'.repeat(MAX_TOKEN_LENGTH - 4)}.A.A`);
  });

  it('ten thousand audiences and groups are searched once', async () => {
    const token = await sign(ec, { aud: Array.from({ length: 5000 }, (_, at) => `a${at}`) });
    const rule = { ...RULE, audiences: Array.from({ length: 10_000 }, (_, at) => `b${at}`) };
    expect(resultOf(keys, bearer(token), [rule])).to.equal('403 Audiences in Jwt are not allowed');
    expect(resultOf(keys, bearer(token), [{ ...rule, audiences: [...rule.audiences, 'a4999'] }])).to.equal(`${ISSUER}/me`);
  });

  it('members that occur twice, in header or payload, are refused', () => {
    const [header = '', payload = '', signature = ''] = good.split('.');
    refused(`${segment('{"alg":"none","alg":"RS256"}')}.${payload}.${signature}`);
    refused(`${header}.${segment(`{"iss":"${ISSUER}","iss":"evil"}`)}.${signature}`);
    refused(`${segment('{"alg":"RS256","\\u0061lg":"none"}')}.${payload}.${signature}`);
  });

  it('claims with the name of a prototype member are claims, and absent ones are absent', () => {
    const matches = (claim: string, value: string, claims: string): string => {
      const filterChain = filterChainOf([requests(RULE), allow('a', { when: [{ key: `request.auth.claims${claim}`, values: [value] }] })], {
        keys: ownKeys,
      });
      return filterChain.evaluate(raw('/', bearer(signedByOwn({ alg: 'ES256' }, `{"iss":"${ISSUER}"${claims}}`))), NOW).kind;
    };
    expect(matches('[__proto__]', 'x', ',"__proto__":"x"')).to.equal('forward');
    expect(matches('[__proto__][role]', 'admin', ',"__proto__":{"role":"admin"}')).to.equal('forward');
    // A polluted prototype would show these.
    expect(matches('[role]', 'admin', ',"__proto__":{"role":"admin"}')).to.equal('reply');
    for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__'])
      expect(matches(`[${name}]`, '*', ''), name).to.equal('reply');
    expect(({} as Readonly<Record<string, unknown>>)['role']).to.equal(undefined);
  });

  it('times that are negative, fractions, strings, beyond 2^53 or beyond every number', () => {
    for (const [exp, expected] of [
      ['-1', 'not a positive 64 bit integer'],
      ['"1"', 'not an integer'],
      ['true', 'not an integer'],
      ['null', 'not an integer'],
      ['1.5', 'Jwt is expired'],
      ['18446744073709551616', 'not a positive 64 bit integer'],
      ['1e999', 'invalid JSON'],
      ['01', 'invalid JSON'],
    ] as const) {
      const payload = `{"iss":"${ISSUER}","exp":${exp}}`;
      expect(resultOf(keys, bearer(`${segment({ alg: 'RS256' })}.${segment(payload)}.AA`)), exp).to.contain(expected);
    }
  });

  it('base64 that is not canonical is another token: it is verified separately and has the same claims', () => {
    const filterChain = filterChainOf([requests(RULE), AUTHENTICATED], { keys });
    const said = (text: string): string => {
      const verdict = filterChain.evaluate(raw('/', bearer(text)), NOW);
      return verdict.kind === 'forward' ? verdict.log.principal : verdict.kind;
    };
    expect(said(good)).to.equal(`${ISSUER}/me`);
    const [header = '', payload = '', signature = ''] = good.split('.');
    // Padding and trailing bits of the signature are not signed; those of header and payload are.
    expect(said(`${good}==`)).to.equal(`${ISSUER}/me`);
    for (const changed of [`${header}=`, `${header}==`, `${header} `]) expect(said(`${changed}.${payload}.${signature}`)).to.equal('reply');
    for (const changed of [`${payload}=`, `${payload}==`, `${payload.slice(0, -1)}${payload.endsWith('B') ? 'A' : 'B'}`]) {
      expect(said(`${header}.${changed}.${signature}`)).to.equal('reply');
    }
    for (const changed of [signature.replace(/.$/, '+'), signature.replace(/.$/, '/'), `${signature}!`])
      expect(said(`${header}.${payload}.${changed}`)).to.equal('reply');
  });

  it('crit and b64 of the header are ignored, as in Envoy: the signature covers the token as sent', () => {
    const crit = signedByOwn({ alg: 'ES256', b64: false, crit: ['b64'] }, { iss: ISSUER, sub: 'me' });
    expect(resultOf(ownKeys, bearer(crit))).to.equal(`${ISSUER}/me`);
    const [header, , signature] = crit.split('.');
    expect(resultOf(ownKeys, bearer(`${header}.${segment({ iss: ISSUER, sub: 'you' })}.${signature}`))).to.equal(`401 ${FAILS}`);
  });

  it('ES256 signatures in DER, of zeros, of the order of the curve, or of another length, are refused', () => {
    const { privateKey } = own;
    const text = `${segment({ alg: 'ES256' })}.${segment({ iss: ISSUER, sub: 'me' })}`;
    const p1363 = rawSign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    const said = (signature: Buffer): string => resultOf(ownKeys, bearer(`${text}.${signature.toString('base64url')}`));
    expect(said(p1363)).to.equal(`${ISSUER}/me`);
    for (const signature of [
      rawSign('sha256', Buffer.from(text), privateKey),
      Buffer.alloc(64),
      Buffer.concat([p1363.subarray(0, 32), Buffer.alloc(32)]),
      Buffer.concat([Buffer.alloc(32), p1363.subarray(32)]),
      Buffer.concat([order, p1363.subarray(32)]),
      Buffer.concat([p1363.subarray(0, 32), order]),
      Buffer.concat([Buffer.alloc(1), p1363]),
      Buffer.concat([Buffer.alloc(1), p1363.subarray(0, 32), Buffer.alloc(1), p1363.subarray(32)]),
      p1363.subarray(0, 63),
      Buffer.alloc(64, 255),
    ]) {
      expect(said(signature)).to.equal(`401 ${FAILS}`);
    }
  });
});

describe('incidents with rules and locations of tokens', () => {
  it('an unknown issuer never counts as a missing token, with 1, 2 or n rules and at every location (ISTIO-SECURITY-2021-001)', async () => {
    const foreign = await sign(rsa, { iss: 'https://foreign.example' });
    const open = (...rules: readonly object[]) => filterChainOf([requests(...rules)], { keys });
    for (const count of [1, 2, 5]) {
      const rules = Array.from({ length: count }, (_, at) => ({
        issuer: `https://i${at}.example`,
        jwks: 'unused',
        fromHeaders: [{ name: 'x-jwt' }],
        fromParams: ['t'],
        fromCookies: ['c'],
      }));
      for (const request of [raw('/', ['x-jwt', foreign]), raw(`/?t=${foreign}`), raw('/', ['cookie', `c=${foreign}`])]) {
        expect(verdictOf('reply', open(...rules), request)).to.deep.include({ status: 401, body: 'Jwt issuer is not configured' });
      }
      expect(open(...rules).evaluate(raw('/'), NOW).kind).to.equal('forward');
    }
  });

  it('E#12089: a valid token in one location does not compensate for an invalid one in another', () => {
    const filterChain = filterChainOf([requests(RULE)], { keys });
    verdictOf('reply', filterChain, raw(`/?access_token=${good}`, bearer(`${good.slice(0, -8)}AAAAAAAA`)));
    verdictOf('reply', filterChain, raw(`/?access_token=${good.slice(0, -8)}AAAAAAAA`, bearer(good)));
    const { head } = verdictOf('forward', filterChain, raw(`/?access_token=${good}`, bearer(good)));
    expect(JSON.stringify(head)).not.to.contain(good);
  });

  it('CVE-2025-64484, istio/proxy#1321: a client cannot set the output headers of tokens, in any spelling', () => {
    const rule = { ...RULE, outputPayloadToHeader: 'x-jwt-payload', outputClaimToHeaders: [{ header: 'x-jwt-claim', claim: 'absent' }] };
    const filterChain = filterChainOf([requests(rule)], { keys });
    for (const name of ['x-jwt-claim', 'X-Jwt-Claim', 'X_Jwt_Claim', 'x-jwt_claim', 'X_JWT_PAYLOAD', 'x-jwt-payload']) {
      for (const headers of [[], bearer(good)]) {
        const { head } = verdictOf('forward', filterChain, raw('/', [name, 'forged', ...headers, name, 'again']));
        expect(JSON.stringify(head), name).not.to.match(/forged|again/);
      }
    }
  });

  it('198a2bc8, GHSA-qvp4: a cached token is checked again for time, and separately by each rule', async () => {
    const token = await sign(rsa, { exp: NOW + 10, aud: 'one' });
    const filterChain = filterChainOf([requests({ ...RULE, audiences: ['one'] })], { keys });
    expect(filterChain.evaluate(raw('/', bearer(token)), NOW).kind).to.equal('forward');
    expect(filterChain.evaluate(raw('/', bearer(token)), NOW + 71).kind).to.equal('reply');
    const narrow = filterChainOf(
      [requests({ ...RULE, audiences: ['one'] }, { ...RULE, audiences: ['two'], fromHeaders: [{ name: 'x-two' }] })],
      {
        keys,
      },
    );
    expect(narrow.evaluate(raw('/', bearer(token)), NOW).kind).to.equal('forward');
    expect(narrow.evaluate(raw('/', ['x-two', token]), NOW).kind).to.equal('reply');
    // Without its key the same token is refused.
    expect(resultOf(keysOf(ec.publicKey), bearer(token))).to.match(/^401 /);
  });
});
