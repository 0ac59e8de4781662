/*
 * What the tokens of a recorded request and the keys of a case are made of, read by the platform's own JSON and key parsers. In:
 * what was sent and configured. Out: the properties that documented differences speak of.
 */
import { createPublicKey } from 'node:crypto';
import type { RecordedRequest } from './case-file.ts';

/** Keys of one document that are used here. */
const MAX_KEYS = 100;
const RSA_BITS = { min: 1024, max: 8192 } as const;

/** A token that stands somewhere in a request. */
export interface SentToken {
  /** `''`: its header says none, or is none. */
  readonly alg: string;
  /** Are header and payload both JSON as RFC 8259 has it, without raw control characters and the like? */
  readonly isStrictJson: boolean;
  readonly signatureBytes: number;
}

/** Everything in the request line, the headers and the raw bytes of `request` that has the form of a token. */
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
    // What is no escape stands for itself.
    return text;
  }
}

function strictJson(segment: string): unknown {
  return parseStrictly(Buffer.from(segment, 'base64url').toString('utf8'));
}

/** The value of a text that is JSON as RFC 8259 has it; `undefined`: it is none. */
export function parseStrictly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is the answer.
    return undefined;
  }
}

/** Does the key set in `jwks` have more keys than are used, or RSA keys of a size that is not? */
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
    // A key that is none is nobody's difference.
    return false;
  }
}
