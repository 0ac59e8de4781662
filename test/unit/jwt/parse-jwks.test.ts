import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import type { BundleKey } from '../../../src/bundle/bundle.ts';
import { importKey, importKeySet } from '../../../src/jwt/import-key.ts';
import { MAX_KEYS, MAX_PROBLEMS, parseJwks } from '../../../src/jwt/parse-jwks.ts';
import { doSteps } from '../../../src/steps.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }) as Record<string, string>;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) as Record<string, string>;
const ec384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' }) as Record<string, string>;
const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as Record<string, string>;
const oct = { kty: 'oct', k: 'c2VjcmV0' };

const jwks = (...keys: readonly unknown[]): string => JSON.stringify({ keys });
const only = (key: unknown): BundleKey | undefined => parseJwks(jwks(key)).keys[0];

// The certificate of an RSA key whose private key was discarded.
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIDDTCCAfWgAwIBAgIUIaW1rThsM+3SEd6z/ckL/r0JXN4wDQYJKoZIhvcNAQEL
BQAwFTETMBEGA1UEAwwKdGhyb3ctYXdheTAgFw0yNjExMjMyMjE4NTNaGA8yMTI2
MTAzMDIyMTg1M1owFTETMBEGA1UEAwwKdGhyb3ctYXdheTCCASIwDQYJKoZIhvcN
AQEBBQADggEPADCCAQoCggEBAMmgErp63gCotI348uKFs9FKMkaWDwci8/JA6n8v
eHqOfNdvg+uYYBDg3Oe2sEiV/x/TW26pqSEArvU6LDvSkElm418ftGSnX3fhEnww
jPblqUyKJXxmtBIfO6Qql9xTEv1OhvnTO+macP1y0W0hd6Gn/taX02UYWWuM8BsZ
rfC6UZXhSNg6FUk4XLrgGUmsmzDNndbuc8DMv77EatjPhryLyEa81NZJhqUuI9uS
K/8x+4HVIsnVIV9/p3saNksC37yI3iKRZXddnNeue/gHBbdprfzOGS8MdNtwyig7
vMXSvvkzklOGYV68qNEwigQhqsWs7J+npXcPBpHdbhlruC0CAwEAAaNTMFEwHQYD
VR0OBBYEFLgyMCIiX3RwNyrnFIfeIZyEcgvVMB8GA1UdIwQYMBaAFLgyMCIiX3Rw
NyrnFIfeIZyEcgvVMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEB
AKhrq6B1dPU0GHQUCpxJK1f7lNI8KDZJQ+r3ssDv4RS7EkkmNgHysOEB+sSvJeQZ
4Vu3Nf1tpS16KBVeiMn5ON6aANLYdZxCcrGAIttb1I5d/rMsNUaCI5T3G3bq4ug4
lOeVxXmXS2SjZDkRUEzpEToFI1iJhPdZ+Ti7kqNSZN3cONL0+j4zEcobiyqee4Ua
0Kjz70QTnNjLQST8JysXI3KUdd0zbYwRRdpAthuIRPENxt8Z4F1JHfFuIuH0d67F
2V2wRK8uyTj/GTSV/JAI/Dg7ZaZZ8ZNQr2hw7gRCnBjwE6SV+P9k6Lqqg0djEFZ7
FXvjFtRNaDDB2ffdZczaSFQ=
-----END CERTIFICATE-----
`;

describe('the keys of a JWKS document', () => {
  it('keeps only public members, in order, and reports the keys it drops', () => {
    const { keys, problems } = parseJwks(
      jwks(
        { ...rsa, kid: 'a', alg: 'RS256', use: 'enc', d: 'secret', x5c: ['x'] },
        { kty: 'nope' },
        { ...ec, kid: 'b', key_ops: ['sign'], d: 'secret' },
        { ...ed, kid: 'c', alg: 'EdDSA', d: 'secret' },
        { ...oct, kid: 'd', alg: 'HS256' },
      ),
    );

    expect(keys).to.deep.equal([
      { kty: 'RSA', n: rsa['n'], e: 'AQAB', kid: 'a', alg: 'RS256' },
      { kty: 'EC', crv: 'P-256', x: ec['x'], y: ec['y'], kid: 'b' },
      { kty: 'OKP', crv: 'Ed25519', x: ed['x'], kid: 'c', alg: 'EdDSA' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'd', alg: 'HS256' },
    ]);
    expect(problems).to.deep.equal(['keys[1]: [kty] is not supported in [keys]']);
  });

  for (const [name, key, problem] of [
    ['no object', 'RSA', 'is not an object'],
    ['no kty', { n: 'x' }, '[kty] is missing in [keys]'],
    ['kty 1', { kty: 1 }, '[kty] is bad in [keys]'],
    ['RSA with an ES alg', { ...rsa, alg: 'ES256' }, '[alg] is not started with [RS] or [PS] for an RSA key'],
    ['RSA without n', { kty: 'RSA', e: 'AQAB' }, '[n] field is missing for a RSA key'],
    ['RSA with n 1', { kty: 'RSA', n: 1, e: 'AQAB' }, '[n] field is not string for a RSA key'],
    ['RSA with junk n', { kty: 'RSA', n: '+/', e: 'AQAB' }, '[n] field is an invalid Base64 for a RSA key'],
    ['RSA with a short n', { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, 'Jwks RSA [n] or [e] field is missing or has a parse error'],
    ['RSA with an even n', { ...rsa, n: `${rsa['n']?.slice(0, -2)}AA` }, 'Jwks RSA [n] or [e] field is missing or has a parse error'],
    ['RSA without e', { kty: 'RSA', n: rsa['n'] }, '[e] field is missing for a RSA key'],
    ['RSA with e 1', { ...rsa, e: 'AQ' }, 'Jwks RSA [n] or [e] field is missing or has a parse error'],
    ['RSA with e 17', { ...rsa, e: 'EQ' }, 'Jwks RSA [n] or [e] field is missing or has a parse error'],
    ['EC with an RS alg', { ...ec, alg: 'RS256' }, '[alg] is not started with [ES] for an EC key'],
    ['EC with crv 1', { ...ec, crv: 1 }, '[crv] field is not string for an EC key'],
    ['EC with crv null', { ...ec, crv: null }, '[crv] field is not string for an EC key'],
    ['EC with another curve', { ...ec, crv: 'secp256k1' }, '[crv] or [alg] field is not supported for an EC key'],
    ['EC with alg of another curve', { ...ec, alg: 'ES384' }, '[crv] field specified is not compatible with [alg] for an EC key'],
    ['EC with an unknown alg', { kty: 'EC', x: ec['x'], y: ec['y'], alg: 'ES1' }, '[crv] or [alg] field is not supported for an EC key'],
    ['EC without x', { kty: 'EC', crv: 'P-256', y: ec['y'] }, '[x] field is missing for an EC key'],
    ['EC with y 1', { ...ec, y: 1 }, '[y] field is not string for an EC key'],
    ['EC with a long x', { ...ec, x: ec384['x'] }, 'Jwks EC [x] and [y] fields have a parse error.'],
    ['EC with a point off the curve', { ...ec, y: ec['x'] }, 'EC key has a parse error'],
    ['oct with an RS alg', { ...oct, alg: 'RS256' }, '[alg] does not start with [HS] for an HMAC key'],
    ['oct without k', { kty: 'oct' }, '[k] field is missing for an HMAC key'],
    ['oct with an empty k', { kty: 'oct', k: '' }, '[k] field is empty for an HMAC key'],
    ['OKP with an ES alg', { ...ed, alg: 'ES256' }, '[alg] is not [EdDSA] for an OKP key'],
    ['OKP without crv', { kty: 'OKP', x: ed['x'] }, '[crv] field is missing for an OKP key'],
    ['OKP with crv 1', { ...ed, crv: 1 }, '[crv] field is not string for an OKP key'],
    ['OKP with X25519', { ...ed, crv: 'X25519' }, '[crv] field is not supported for an OKP key'],
    ['OKP without x', { kty: 'OKP', crv: 'Ed25519' }, '[x] field is missing for an OKP key'],
    ['OKP with a short x', { ...ed, x: 'AQAB' }, 'Jwks OKP [x] field is wrong length.'],
  ] as const) {
    it(`skips a key with ${name} and keeps a valid one`, () => {
      const { keys, problems } = parseJwks(jwks(key, { ...ec, kid: 'good' }));

      expect(keys.map(({ kid }) => kid)).to.deep.equal(['good']);
      expect(problems).to.deep.equal([`keys[0]: ${problem}`]);
    });
  }

  it('treats a kid or alg of another type as absent', () => {
    expect(only({ ...ec, kid: 5, alg: ['ES256'] })).to.have.all.keys('kty', 'crv', 'x', 'y');
    expect(only({ ...ec, kid: '' })).to.not.have.property('kid');
  });

  it('treats an empty alg as absent', () => {
    for (const key of [rsa, ec, ed, oct]) expect(only({ ...key, alg: '' })).to.not.have.property('alg');
  });

  it('derives the curve from alg, and defaults to P-256', () => {
    expect(only({ kty: 'EC', x: ec384['x'], y: ec384['y'], alg: 'ES384' })).to.include({ crv: 'P-384' });
    expect(only({ kty: 'EC', x: ec['x'], y: ec['y'] })).to.include({ crv: 'P-256' });
  });

  it('encodes numbers without leading zeros and coordinates in full length', () => {
    const padded = Buffer.concat([Buffer.alloc(3), Buffer.from(rsa['n'] ?? '', 'base64url')]).toString('base64url');

    expect(only({ kty: 'RSA', n: padded, e: 'AAEAAQ==' })).to.deep.equal({ kty: 'RSA', n: rsa['n'], e: 'AQAB' });
    expect(only({ ...ec, x: `AAAA${ec['x']}` })).to.include({ x: ec['x'] });
  });
});

describe('a JWKS document', () => {
  for (const [name, text, problem] of [
    ['no JSON', 'not json', 'Jwks is an invalid JSON'],
    ['an array', '[]', 'Jwks is an invalid JSON'],
    ['a bare key', JSON.stringify(ec), 'Jwks does not have [keys] field'],
    ['an empty object', '{}', 'Jwks does not have [keys] field'],
    ['keys that are not an array', '{"keys":{}}', '[keys] in Jwks is not an array'],
    ['no key', '{"keys":[]}', "Jwks doesn't have any valid public key"],
    ['keys twice', `{"keys":[],"keys":[${JSON.stringify(ec)}]}`, 'Jwks is an invalid JSON'],
    [
      'an invalid certificate',
      '{"a":"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"}',
      'Jwks does not have [keys] field',
    ],
    ['a certificate without its last newline', JSON.stringify({ a: CERTIFICATE.trim() }), 'Jwks does not have [keys] field'],
    [
      'a certificate with CRLF line endings',
      JSON.stringify({ a: CERTIFICATE.replaceAll('\n', '\r\n') }),
      'Jwks does not have [keys] field',
    ],
    ['a certificate with trailing characters', JSON.stringify({ a: `${CERTIFICATE}x` }), 'Jwks does not have [keys] field'],
    ['a certificate without name', JSON.stringify({ '': CERTIFICATE }), 'Jwks does not have [keys] field'],
  ] as const) {
    it(`finds no keys in a document with ${name}`, () => {
      expect(parseJwks(text)).to.deep.equal({ keys: [], problems: [problem], leftOut: [] });
    });
  }

  it('reads a map of certificates by key id', () => {
    const { keys, problems } = parseJwks(JSON.stringify({ one: CERTIFICATE, two: CERTIFICATE }));

    expect(problems).to.deep.equal([]);
    expect(keys.map(({ kid, kty }) => `${kid} ${kty}`)).to.deep.equal(['one RSA', 'two RSA']);
  });

  it('accepts no secret keys from a URL', () => {
    expect(parseJwks(jwks(oct, ec), { symmetric: false }).keys.map(({ kty }) => kty)).to.deep.equal(['EC']);
  });

  it('limits the number of keys', () => {
    const { keys, problems } = parseJwks(jwks(...Array.from({ length: MAX_KEYS + 5 }, () => ed)));

    expect(keys).to.have.length(MAX_KEYS);
    expect(problems.at(-1)).to.contain('the rest is ignored');
  });

  it('limits the number of reported problems and still reads the valid key after them', () => {
    const { keys, problems } = parseJwks(jwks(...Array.from({ length: 10_000 }, () => 0), ed));

    expect(keys.map(({ kty }) => kty)).to.deep.equal(['OKP']);
    expect(problems).to.have.length(MAX_PROBLEMS + 1);
    expect(problems.at(-1)).to.equal('there are more problems');
  });

  it('warns of a short RSA key', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const { keys, problems } = parseJwks(jwks(short));

    expect(keys).to.have.length(1);
    expect(problems).to.deep.equal(['keys[0]: RSA key is shorter than 2048 bits']);
  });

  it('takes RSA keys of 1024 to 8192 bits', () => {
    const odd = (bytes: number): string => Buffer.alloc(bytes, 0xff).toString('base64url');

    for (const bytes of [128, 1024]) expect(only({ kty: 'RSA', n: odd(bytes), e: 'AQAB' }), `${bytes} bytes`).not.to.equal(undefined);
    for (const bytes of [64, 96, 127, 1025]) {
      expect(parseJwks(jwks({ kty: 'RSA', n: odd(bytes), e: 'AQAB' })), `${bytes} bytes`).to.deep.include({
        keys: [],
        problems: ['keys[0]: Jwks RSA [n] or [e] field is missing or has a parse error'],
      });
    }
  });

  it('takes no RSA key of 512 bits', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 512 }).publicKey.export({ format: 'jwk' });

    expect(only(short)).to.equal(undefined);
  });

  it('warns of an RSA key below 2048 bits only', () => {
    const weak = (bytes: number): number =>
      parseJwks(jwks({ kty: 'RSA', n: Buffer.alloc(bytes, 0xff).toString('base64url'), e: 'AQAB' })).problems.length;

    expect([255, 256].map(weak)).to.deep.equal([1, 0]);
  });

  it('names a key by its kid, of which it shows a bounded part, and distinguishes a weak key from one that is left out', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const { problems, leftOut } = parseJwks(
      jwks(
        { ...short, kid: 'weak' },
        { kty: 'EC', crv: 'secp256k1', kid: 'odd "1"' },
        { kty: 'x', kid: 'k'.repeat(500) },
        { kty: 'x', kid: 7 },
      ),
    );

    expect(leftOut).to.deep.equal([
      'keys[1] (kid "odd \\"1\\""): [crv] or [alg] field is not supported for an EC key',
      `keys[2] (kid "${'k'.repeat(64)}"): [kty] is not supported in [keys]`,
      'keys[3]: [kty] is not supported in [keys]',
    ]);
    expect(problems).to.deep.equal(['keys[0] (kid "weak"): RSA key is shorter than 2048 bits', ...leftOut]);
  });

  it('imports what it parsed and skips what cannot be imported', () => {
    const { keys } = parseJwks(jwks(rsa, ec, ed, oct));

    expect(
      doSteps(importKeySet({ source: 'inline', keys: [...keys, { kty: 'OKP', crv: 'Ed25519', x: 'AA' }, { kty: 'nope' }] })).map(
        ({ type }) => type,
      ),
    ).to.deep.equal(['RSA', 'EC', 'OKP', 'oct']);
    expect(importKey({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' })).to.equal(undefined);
  });
});
