import { constants, createHmac, generateKeyPairSync, type KeyObject, sign as rawSign } from 'node:crypto';
import { expect } from 'chai';
import { importKeySet } from '../../../src/jwt/import-key.ts';
import { parseToken } from '../../../src/jwt/parse-token.ts';
import { verifySignature } from '../../../src/jwt/verify-signature.ts';
import { doSteps } from '../../../src/steps.ts';
import { makeKey, type SigningKey, segment, sign } from './tokens.ts';

const FAILS = 'Jwt verification fails';
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'HS256', 'HS384', 'HS512'];

function check(text: string, ...keys: readonly Readonly<Record<string, string>>[]): string | undefined {
  const token = parseToken(text);
  if (typeof token === 'string') throw new Error(token);
  return verifySignature(token, doSteps(importKeySet({ source: 'test', keys })));
}

/** A token signed by the given function, for tokens that jose refuses to make. */
function handMade(alg: string, signer: (signed: Buffer) => Buffer, header: Readonly<Record<string, unknown>> = {}): string {
  const signed = `${segment({ alg, ...header })}.${segment({ iss: 'x' })}`;
  return `${signed}.${signer(Buffer.from(signed)).toString('base64url')}`;
}

describe('signatures', () => {
  for (const alg of ALGORITHMS) {
    describe(alg, () => {
      let key: SigningKey;
      let other: SigningKey;
      let token: string;

      before(async () => {
        key = await makeKey(alg);
        other = await makeKey(alg);
        token = await sign(key);
      });

      it('are valid when made by the key, with and without alg in the key', () => {
        expect(check(token, key.publicKey)).to.equal(undefined);
        expect(check(token, { ...key.publicKey, alg })).to.equal(undefined);
      });

      it('are invalid when made by another key', () => {
        expect(check(token, other.publicKey)).to.equal(FAILS);
      });

      it('do not cover another payload or header', () => {
        const [head, , signature] = token.split('.');
        expect(check(`${head}.${segment({ iss: 'evil' })}.${signature}`, key.publicKey)).to.equal(FAILS);
        expect(check(`${segment({ alg, x: 1 })}.${token.split('.')[1]}.${signature}`, key.publicKey)).to.equal(FAILS);
      });

      it('are invalid when truncated or extended', () => {
        const [head, payload, signature = ''] = token.split('.');
        const bytes = Buffer.from(signature, 'base64url');
        for (const changed of [
          bytes.subarray(1),
          bytes.subarray(0, -1),
          Buffer.concat([bytes, Buffer.alloc(2)]),
          Buffer.alloc(bytes.length),
        ]) {
          expect(check(`${head}.${payload}.${changed.toString('base64url')}`, key.publicKey)).to.be.oneOf([
            FAILS,
            'Jwt ED25519 signature is wrong length',
          ]);
        }
      });
    });
  }

  it('never use a public RSA key as a secret', async () => {
    const key = await makeKey('RS256');
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    for (const secret of [JSON.stringify(key.publicKey), key.publicKey['n'] ?? '', publicKey.export({ type: 'spki', format: 'pem' })]) {
      const token = handMade('HS256', (signed) => createHmac('sha256', secret).update(signed).digest());
      expect(check(token, key.publicKey)).to.equal(FAILS);
      expect(check(token, { ...key.publicKey, alg: 'RS256' })).to.equal(NO_KEY);
    }
  });

  it('of Ed25519 end the search when their length is wrong', async () => {
    const ed = await makeKey('EdDSA');
    const rsa = await makeKey('RS256');
    const token = await sign(rsa);

    expect(check(token, ed.publicKey, rsa.publicKey)).to.equal('Jwt ED25519 signature is wrong length');
    expect(check(token, rsa.publicKey, ed.publicKey)).to.equal(undefined);
  });

  it('are verified by the algorithm of the type of the key', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' }) as Record<string, string>;
    const ecdsa = (hash: string) => (signed: Buffer) => rawSign(hash, signed, { key: privateKey, dsaEncoding: 'ieee-p1363' });

    expect(check(handMade('ES512', ecdsa('sha512')), jwk)).to.equal(undefined);
    expect(check(handMade('ES512', ecdsa('sha256')), jwk)).to.equal(FAILS);
    expect(
      check(
        handMade('ES256', (signed) => rawSign('sha256', signed, privateKey)),
        jwk,
      ),
      'DER',
    ).to.equal(FAILS);
  });
});

describe('the key of a signature is selected', () => {
  let one: SigningKey;
  let two: SigningKey;

  before(async () => {
    one = await makeKey('ES256');
    two = await makeKey('ES256');
  });

  it('by kid, when token and key have one', async () => {
    const token = await sign(one, {}, { kid: 'one' });
    expect(check(token, { ...two.publicKey, kid: 'two' }, { ...one.publicKey, kid: 'one' })).to.equal(undefined);
    expect(check(token, { ...one.publicKey, kid: 'two' })).to.equal(NO_KEY);
    expect(check(token, { ...two.publicKey, kid: 'one' }, { ...one.publicKey, kid: 'other' })).to.equal(FAILS);
  });

  it('in order, when several have the same kid', async () => {
    const token = await sign(one, {}, { kid: 'k' });
    expect(check(token, { ...two.publicKey, kid: 'k' }, { ...one.publicKey, kid: 'k' })).to.equal(undefined);
  });

  it('regardless of kid, when token or key has none', async () => {
    expect(check(await sign(one), { ...two.publicKey, kid: 'two' }, { ...one.publicKey, kid: 'one' })).to.equal(undefined);
    expect(check(await sign(one, {}, { kid: '' }), { ...one.publicKey, kid: 'one' })).to.equal(undefined);
    expect(check(await sign(one, {}, { kid: 'any' }), two.publicKey, one.publicKey)).to.equal(undefined);
  });

  it('by alg, when the key has one', async () => {
    expect(check(await sign(one), { ...one.publicKey, alg: 'ES384' })).to.equal(NO_KEY);
    expect(check(await sign(one))).to.equal(NO_KEY);
  });

  for (const kid of ['__proto__', 'constructor', '../../etc/passwd', "' OR 1=1 --", 'k'.repeat(20_000)]) {
    it(`by a kid of ${kid.slice(0, 20)} as by any other`, async () => {
      const token = await sign(one, {}, { kid });
      expect(check(token, { ...one.publicKey, kid: 'one' })).to.equal(NO_KEY);
      expect(check(token, { ...one.publicKey, kid })).to.equal(undefined);
    });
  }

  it('never from the header of the token', async () => {
    const token = await sign(two, {}, { jwk: two.publicKey, x5c: ['AAAA'], jku: 'https://evil.example/jwks' });
    expect(check(token, one.publicKey)).to.equal(FAILS);
  });
});

describe('RSA-PSS signatures', () => {
  let keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  let jwk: Record<string, string>;
  const pss = (saltLength: number) => (signed: Buffer) =>
    rawSign('sha256', signed, { key: keys.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

  before(() => {
    keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    jwk = keys.publicKey.export({ format: 'jwk' }) as Record<string, string>;
  });

  it('have a salt as long as the hash', () => {
    expect(check(handMade('PS256', pss(32)), jwk)).to.equal(undefined);
    for (const length of [0, 20, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
      expect(check(handMade('PS256', pss(length)), jwk), `salt ${length}`).to.equal(FAILS);
    }
  });

  it('are invalid when the key is too small for them', () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }) as Record<string, string>;
    expect(
      check(
        handMade('PS512', () => Buffer.alloc(128, 1)),
        small,
      ),
    ).to.equal(FAILS);
    expect(
      check(
        handMade('RS256', () => Buffer.alloc(128, 1)),
        { kty: 'RSA', n: '', e: '' },
      ),
    ).to.equal(FAILS);
  });

  it('are not PKCS#1 signatures, and vice versa', () => {
    expect(check(handMade('RS256', pss(32)), jwk)).to.equal(FAILS);
    expect(
      check(
        handMade('PS256', (signed) => rawSign('sha256', signed, keys.privateKey)),
        jwk,
      ),
    ).to.equal(FAILS);
    expect(
      check(
        handMade('ES256', (signed) => rawSign('sha256', signed, keys.privateKey)),
        jwk,
      ),
    ).to.equal(FAILS);
  });
});
