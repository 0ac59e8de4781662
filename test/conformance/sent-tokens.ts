/*
 * Analyzes the tokens of a recorded request and the keys of a case with the platform's own parsers, for the properties that
 * documented differences depend on.
 */
import { createPublicKey } from 'node:crypto';
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
  readonly signatureBytes: number;
}

/** Everything that has the form of a token in the request line, the headers and the raw bytes of `request`. */
export function tokensIn({ path = '', headers = [], raw = '' }: RecordedRequest): readonly SentToken[] {
  const text = [safeDecode(path), ...headers.map(([, value]) => value), raw].join('\n');
  return [...text.matchAll(/([\w=-]+)\.+([\w=-]+)\.+([\w=-]*)/g)].map(([, head = '', payload = '', signature = '']) => {
    const header = strictJson(head);
    const alg = typeof header === 'object' && header !== null && 'alg' in header ? String(header.alg) : '';
    return {
      alg,
      isStrictJson: header !== undefined && strictJson(payload) !== undefined,
      signatureBytes: Buffer.from(signature, 'base64url').length,
    };
  });
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

/** Whether the key set in `jwks` has more keys than are used, or RSA keys of an unsupported size. */
export function holdsUnusualKeys(jwks: string): boolean {
  const keys = (parseStrictly(jwks) as { readonly keys?: unknown } | null | undefined)?.keys;
  return Array.isArray(keys) && (keys.length > MAX_KEYS || keys.some(isUnusualRsa));
}

function isUnusualRsa(key: Readonly<Record<string, string>> | null): boolean {
  if (key?.['kty'] !== 'RSA') return false;
  try {
    const { modulusLength = 0 } =
      createPublicKey({ key: { kty: 'RSA', n: key['n'] ?? '', e: key['e'] ?? '' }, format: 'jwk' }).asymmetricKeyDetails ?? {};
    return modulusLength < RSA_BITS.min || modulusLength > RSA_BITS.max;
  } catch {
    // An invalid key is not a documented difference.
    return false;
  }
}
