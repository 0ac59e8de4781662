/*
 * Keys that sign tokens: one of each kind, generated once per run.
 */
import { constants, createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface SigningKey {
  readonly kid: string;
  /** Algorithms of the key, the usual one first. */
  readonly algorithms: readonly string[];
  readonly jwk: Readonly<Record<string, string>>;
  readonly secret: KeyObject | Buffer;
}

function pair(
  kid: string,
  algorithms: readonly string[],
  { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject },
): SigningKey {
  return { kid, algorithms, jwk: publicKey.export({ format: 'jwk' }) as Record<string, string>, secret: privateKey };
}

function symmetric(kid: string, bytes: number): SigningKey {
  const secret = randomBytes(bytes);
  return { kid, algorithms: ['HS256', 'HS384', 'HS512'], jwk: { kty: 'oct', k: secret.toString('base64url') }, secret };
}

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];

/** Every key. */
export const KEYS: readonly SigningKey[] = [
  pair('rsa-a', RSA, generateKeyPairSync('rsa', { modulusLength: 2048 })),
  pair('rsa-b', RSA, generateKeyPairSync('rsa', { modulusLength: 3072 })),
  pair('ec256-a', ['ES256'], generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  pair('ec256-b', ['ES256'], generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  pair('ec384-a', ['ES384'], generateKeyPairSync('ec', { namedCurve: 'P-384' })),
  pair('ec521-a', ['ES512'], generateKeyPairSync('ec', { namedCurve: 'P-521' })),
  pair('ed-a', ['EdDSA'], generateKeyPairSync('ed25519')),
  symmetric('oct-a', 32),
  symmetric('oct-b', 64),
];

/** The signature of `text`; an invalid one for an algorithm that the key does not support. */
export function signatureOf(key: SigningKey, algorithm: string, text: string): Buffer {
  const bits = /\d+$/.exec(algorithm)?.[0] ?? '256';
  if (Buffer.isBuffer(key.secret)) return createHmac(`sha${bits}`, key.secret).update(text).digest();
  const data = Buffer.from(text);
  switch (key.secret.asymmetricKeyType) {
    case 'ed25519':
      return sign(null, data, key.secret);
    case 'ec':
      return sign(`sha${bits}`, data, { key: key.secret, dsaEncoding: 'ieee-p1363' });
    default:
      return algorithm.startsWith('PS')
        ? sign(`sha${bits}`, data, {
            key: key.secret,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          })
        : sign(`sha${bits}`, data, key.secret);
  }
}
