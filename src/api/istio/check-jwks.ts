/*
 * Would Istio's admission take this text as an inline JWKS? Text in, the reason for a refusal out, and the places of private
 * keys. It asks less than verification does (an empty key list passes). Called by validate-request-authentication.
 * @see github.com/lestrrat-go/jwx jwk.Parse
 */

import { goTypeError, parseFirstJson } from '../go/json.ts';
import { isRecord } from './decode-message.ts';

export interface JwksCheck {
  /** Absent: it would be taken. */
  readonly error?: string;
  /** Positions of keys with private (or symmetric) material. */
  readonly privateKeys: readonly number[];
}

type Key = Readonly<Record<string, unknown>>;
/** What is wrong with the value of a member; null and absent are no strings, yet null reads as an empty one. */
type Check = (value: unknown) => string | undefined;

/** What one kind of key is in the library that Istio uses. */
interface KeyKind {
  readonly goType: string;
  /** Members that have to be there, in the order in which they are missed. */
  readonly required: readonly string[];
  readonly members: Readonly<Record<string, Check>>;
}

const text: Check = (value) =>
  value === null || typeof value === 'string' ? undefined : `error reading next value: ${goTypeError(value, 'string')}`;
const bytes: Check = (value) => text(value) ?? (isBase64(goString(value)) ? undefined : 'expected base64 encoded []byte (string)');
const name: Check = (value) => (value === null || typeof value === 'string' ? undefined : goTypeError(value, 'jwa.EllipticCurveAlgorithm'));
const operations: Check = (value) => {
  if (value !== null && !Array.isArray(value)) return goTypeError(value, 'jwk.KeyOperationList');
  const wrong = (value ?? []).find((item: unknown) => item !== null && typeof item !== 'string');
  return wrong === undefined ? undefined : goTypeError(wrong, 'jwk.KeyOperation');
};
/** Certificates are looked at no closer than that they are DER of the right length. */
const certificates: Check = (value) => {
  const failed = 'failed to unmarshal JSON into []string: ';
  if (value !== null && !Array.isArray(value)) return `${failed}${goTypeError(value, '[]string')}`;
  const wrong = (value ?? []).find((item: unknown) => item !== null && typeof item !== 'string');
  if (wrong !== undefined) return `${failed}${goTypeError(wrong, 'string')}`;
  const list = (value ?? []).map(goString) as readonly string[];
  if (list.some((item) => !isBase64(item))) return 'failed to base64 decode list element: failed to decode source';
  return list.some((item) => !isSequence(item)) ? 'failed to parse certificate: x509: malformed certificate' : undefined;
};

/** The library means `x5u` and looks for `x58`. */
const COMMON = { alg: text, kid: text, key_ops: operations, use: text, x5c: certificates, x5t: text, 'x5t#S256': text, x58: text };
const RSA = { ...COMMON, e: bytes, n: bytes };
const EC = { ...COMMON, crv: name, x: bytes, y: bytes };
const OKP = { ...COMMON, crv: name, x: bytes };
const KINDS: ReadonlyMap<string, { readonly public: KeyKind; readonly private: KeyKind }> = new Map([
  [
    'RSA',
    {
      public: { goType: 'rsaPublicKey', required: ['e', 'n'], members: RSA },
      private: {
        goType: 'rsaPrivateKey',
        required: ['d', 'e', 'n'],
        members: { ...RSA, d: bytes, dp: bytes, dq: bytes, p: bytes, q: bytes, qi: bytes },
      },
    },
  ],
  [
    'EC',
    {
      public: { goType: 'ecdsaPublicKey', required: ['crv', 'x', 'y'], members: EC },
      private: { goType: 'ecdsaPrivateKey', required: ['crv', 'd', 'x', 'y'], members: { ...EC, d: bytes } },
    },
  ],
  [
    'OKP',
    {
      public: { goType: 'okpPublicKey', required: ['crv', 'x'], members: OKP },
      private: { goType: 'okpPrivateKey', required: ['crv', 'd', 'x'], members: { ...OKP, d: bytes } },
    },
  ],
  [
    'oct',
    {
      public: { goType: 'symmetricKey', required: ['k'], members: { ...COMMON, k: bytes } },
      private: { goType: 'symmetricKey', required: ['k'], members: { ...COMMON, k: bytes } },
    },
  ],
]);

/** Checks the text of `jwks`. */
export function checkJwks(jwks: string): JwksCheck {
  const parsed = parseFirstJson(jwks);
  if (parsed.kind === 'error') return { error: parsed.message, privateKeys: [] };
  const { value } = parsed;
  if (Array.isArray(value)) return { error: "expected '{', but got '['", privateKeys: [] };
  if (!isRecord(value)) return { error: 'error reading token: EOF', privateKeys: [] };
  if (Object.hasOwn(value, 'keys')) return checkKeys(value['keys']);
  const error = keyError(value);
  if (error !== undefined) return { error: `failed to parse sole key in key set: ${error}`, privateKeys: [] };
  return { privateKeys: isPrivate(value) ? [0] : [] };
}

function checkKeys(keys: unknown): JwksCheck {
  if (keys === null) return { privateKeys: [] };
  if (!Array.isArray(keys)) return { error: `failed to decode "keys": ${goTypeError(keys, '[]json.RawMessage')}`, privateKeys: [] };
  const privateKeys: number[] = [];
  for (const [index, key] of keys.entries()) {
    const error = keyError(key);
    if (error !== undefined) return { error: `failed to decode key #${index} in "keys": ${error}`, privateKeys };
    if (isPrivate(key)) privateKeys.push(index);
  }
  return { privateKeys };
}

function keyError(key: unknown): string | undefined {
  if (key === null) return 'invalid key type from JSON ()';
  const kty = isRecord(key) ? folded(key, 'kty') : key;
  if (!isRecord(key) || (kty !== undefined && kty !== null && typeof kty !== 'string')) return 'failed to unmarshal JSON into key hint';
  const kinds = KINDS.get(String(kty ?? ''));
  if (kinds === undefined) return `invalid key type from JSON (${kty ?? ''})`;
  const kind = folded(key, 'd') === undefined ? kinds.public : kinds.private;
  const error = memberError(key, String(kty), kind) ?? missingError(key, kind);
  return error === undefined ? undefined : `failed to unmarshal JSON into key (*jwk.${kind.goType}): ${error}`;
}

function memberError(key: Key, kty: string, { members }: KeyKind): string | undefined {
  for (const [member, value] of Object.entries(key)) {
    if (member === 'kty') {
      if (value !== kty) return `invalid kty value (${goString(value)})`;
    } else if (Object.hasOwn(members, member)) {
      const error = members[member]?.(value);
      if (error !== undefined) return `failed to decode value for key ${member}: ${error}`;
    }
  }
  return undefined;
}

function missingError(key: Key, { required }: KeyKind): string | undefined {
  const missing = required.find((member) => !Object.hasOwn(key, member));
  return missing === undefined ? undefined : `required field ${missing} is missing`;
}

/** Both kinds of a symmetric key are one, and secret. */
function isPrivate(key: unknown): boolean {
  return isRecord(key) && (folded(key, 'kty') === 'oct' || folded(key, 'd') !== undefined);
}

/** The last member with this name in any case, as Go fills a struct. */
function folded(key: Key, lowerName: string): unknown {
  return Object.entries(key).findLast(([member]) => member.toLowerCase() === lowerName)?.[1];
}

/** As the library guesses the alphabet; Go passes over line breaks. */
function isBase64(encoded: string): boolean {
  const plain = encoded.replaceAll(/[\r\n]/g, '');
  const isPadded = encoded.endsWith('=');
  const isStandard = /[+/]/.test(encoded);
  if (!(isStandard ? /^[A-Za-z0-9+/]*={0,2}$/ : /^[A-Za-z0-9_-]*={0,2}$/).test(plain)) return false;
  return isPadded ? plain.length % 4 === 0 : !plain.endsWith('=') && plain.length % 4 !== 1;
}

/** As Go reads null into a string. */
function goString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Is it one ASN.1 SEQUENCE, with nothing after it? */
function isSequence(encoded: string): boolean {
  const der = Buffer.from(encoded, 'base64');
  const [tag, length = 0] = der;
  if (tag !== 0x30) return false;
  const lengthBytes = length < 0x80 ? 0 : length - 0x80;
  if (lengthBytes > 4 || der.length < 2 + lengthBytes) return false;
  return 2 + lengthBytes + (lengthBytes === 0 ? length : der.readUIntBE(2, lengthBytes)) === der.length;
}
