/*
 * Analyzes the tokens of a recorded request and the keys of a case with the platform's own parsers, for the properties that
 * documented differences depend on.
 */
import { constants, createHmac, createPublicKey, verify } from 'node:crypto';
import type { RecordedRequest } from './case-file.ts';

/** Maximum number of keys per document that Sallyport uses. */
const MAX_KEYS = 100;
const RSA_BITS = { min: 1024, max: 8192 } as const;

/** A token in a request. */
export interface SentToken {
  /** Algorithm; `''`: the token's header is invalid or has none. */
  readonly alg: string;
  /** Whether header and payload are both valid JSON according to RFC 8259. */
  readonly isStrictJson: boolean;
  readonly signature: Buffer;
  /** Issuer; `''`: the payload is invalid or names none. */
  readonly issuer: string;
  /** The part that is signed. */
  readonly signed: string;
}

/** Everything that has the form of a token in the request line, the headers and the raw bytes of `request`. */
export function tokensIn({ path = '', headers = [], raw = '' }: RecordedRequest): readonly SentToken[] {
  const text = [safeDecode(path), ...headers.map(([, value]) => value), raw].join('\n');
  return [...text.matchAll(/([\w=-]+)\.+([\w=-]+)\.+([\w=-]*)/g)].map(([, head = '', payload = '', signature = '']) => {
    const [header, claims] = [strictJson(head), strictJson(payload)];
    return {
      alg: memberOf(header, 'alg'),
      isStrictJson: header !== undefined && claims !== undefined,
      signature: Buffer.from(signature, 'base64url'),
      issuer: memberOf(claims, 'iss'),
      signed: `${head}.${payload}`,
    };
  });
}

function memberOf(json: unknown, name: string): string {
  const value: unknown = typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>)[name] : undefined;
  return typeof value === 'string' ? value : '';
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not a valid escape: taken literally.
    return text;
  }
}

function strictJson(segment: string): unknown {
  return parseStrictly(Buffer.from(segment, 'base64url').toString('utf8'));
}

/** Value of a JSON text according to RFC 8259; undefined if it is not valid JSON. */
export function parseStrictly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON.
    return undefined;
  }
}

type Jwk = Readonly<Record<string, string>>;

function keysIn(jwks: string): readonly Jwk[] {
  const keys = (parseStrictly(jwks) as { readonly keys?: unknown } | null | undefined)?.keys;
  return Array.isArray(keys) ? (keys as readonly Jwk[]).filter((key) => typeof key === 'object' && key !== null) : [];
}

/** Keys of the key set that are not used: those after the first 100, and RSA keys of an unsupported size. */
export function keysBeyondLimits(jwks: string): readonly Jwk[] {
  const keys = keysIn(jwks);
  return [...keys.slice(MAX_KEYS), ...keys.slice(0, MAX_KEYS).filter(isUnusualRsa)];
}

/** HMAC keys of the key set. */
export function symmetricKeys(jwks: string): readonly Jwk[] {
  return keysIn(jwks).filter(({ kty }) => kty === 'oct');
}

function isUnusualRsa(key: Jwk): boolean {
  if (key['kty'] !== 'RSA') return false;
  try {
    const { modulusLength = 0 } =
      createPublicKey({ key: { kty: 'RSA', n: key['n'] ?? '', e: key['e'] ?? '' }, format: 'jwk' }).asymmetricKeyDetails ?? {};
    return modulusLength < RSA_BITS.min || modulusLength > RSA_BITS.max;
  } catch {
    // An invalid key is not a documented difference.
    return false;
  }
}

/** Whether `key` verifies the signature of a token in the request. */
export function isSignedBy(request: RecordedRequest, key: Jwk): boolean {
  return tokensIn(request).some((token) => {
    const hash = `sha${/\d+$/.exec(token.alg)?.[0] ?? '256'}`;
    if (key['kty'] === 'oct') {
      const secret = Buffer.from(key['k'] ?? '', 'base64url');
      return token.alg.startsWith('HS') && createHmac(hash, secret).update(token.signed).digest().equals(token.signature);
    }
    try {
      const publicKey = createPublicKey({ key, format: 'jwk' });
      const options = token.alg.startsWith('PS')
        ? { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING }
        : { key: publicKey, dsaEncoding: 'ieee-p1363' as const };
      return verify(token.alg === 'EdDSA' ? null : hash, Buffer.from(token.signed), options, token.signature);
    } catch {
      // Not a key for this algorithm.
      return false;
    }
  });
}
