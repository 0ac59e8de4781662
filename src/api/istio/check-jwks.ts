/*
 * Checks whether Istio's admission webhook accepts a string as an inline JWKS. The check is less strict than verification:
 * an empty list of keys passes.
 * @see github.com/lestrrat-go/jwx jwk.Parse
 */

import { goTypeError, parseFirstJson } from '../go/json.ts';
import { isRecord } from './decode-message.ts';

/** Result of {@link checkJwks}. */
export interface JwksCheck {
  /** Why Istio rejects the key set; absent: it accepts it. */
  readonly error?: JwksFault;
  /** Indexes of keys that contain private or symmetric key material. */
  readonly privateKeys: readonly number[];
}

/** One fault, in plain words and in those of the Go library that Istio uses. */
export interface JwksFault {
  readonly plain: string;
  readonly go: string;
}

type Key = Readonly<Record<string, unknown>>;
/** The fault of a member's value, if any. Null reads as the empty string. */
type MemberCheck = (value: unknown) => JwksFault | undefined;

/** One kind of key as the Go library defines it. */
interface KeyKind {
  readonly goType: string;
  /** Required members, in the order in which the library checks them. */
  readonly required: readonly string[];
  readonly members: Readonly<Record<string, MemberCheck>>;
}

const string: MemberCheck = (value) =>
  value === null || typeof value === 'string'
    ? undefined
    : { plain: 'expected a string', go: `error reading next value: ${goTypeError(value, 'string')}` };
const bytes: MemberCheck = (value) =>
  string(value) ?? (isBase64(goString(value)) ? undefined : { plain: 'expected base64url', go: 'expected base64 encoded []byte (string)' });
const curve: MemberCheck = (value) =>
  value === null || typeof value === 'string'
    ? undefined
    : { plain: 'expected a string', go: goTypeError(value, 'jwa.EllipticCurveAlgorithm') };
const operations: MemberCheck = (value) => {
  const plain = 'expected an array of strings';
  if (value !== null && !Array.isArray(value)) return { plain, go: goTypeError(value, 'jwk.KeyOperationList') };
  const wrong = (value ?? []).find((item: unknown) => item !== null && typeof item !== 'string');
  return wrong === undefined ? undefined : { plain, go: goTypeError(wrong, 'jwk.KeyOperation') };
};
/** Checks of a certificate only that it is base64 of DER with a consistent length. */
const certificates: MemberCheck = (value) => {
  const plain = 'expected an array of strings';
  const failed = 'failed to unmarshal JSON into []string: ';
  if (value !== null && !Array.isArray(value)) return { plain, go: `${failed}${goTypeError(value, '[]string')}` };
  const wrong = (value ?? []).find((item: unknown) => item !== null && typeof item !== 'string');
  if (wrong !== undefined) return { plain, go: `${failed}${goTypeError(wrong, 'string')}` };
  const list = (value ?? []).map(goString) as readonly string[];
  if (list.some((item) => !isBase64(item))) {
    return { plain: 'expected base64 certificates', go: 'failed to base64 decode list element: failed to decode source' };
  }
  return list.some((item) => !isSequence(item))
    ? { plain: 'not an X.509 certificate', go: 'failed to parse certificate: x509: malformed certificate' }
    : undefined;
};

/** `x58` is the library's misspelling of `x5u`. */
const COMMON = {
  alg: string,
  kid: string,
  key_ops: operations,
  use: string,
  x5c: certificates,
  x5t: string,
  'x5t#S256': string,
  x58: string,
};
const RSA = { ...COMMON, e: bytes, n: bytes };
const EC = { ...COMMON, crv: curve, x: bytes, y: bytes };
const OKP = { ...COMMON, crv: curve, x: bytes };
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

/** Checks the text of `jwks` like Istio's admission webhook. */
export function checkJwks(jwks: string): JwksCheck {
  const parsed = parseFirstJson(jwks);
  if (parsed.kind === 'error') return rejected('not JSON', parsed.message);
  const { value } = parsed;
  if (Array.isArray(value)) return rejected('expected an object, found an array', "expected '{', but got '['");
  if (!isRecord(value)) return rejected('expected an object', 'error reading token: EOF');
  if (Object.hasOwn(value, 'keys')) return checkKeys(value['keys']);
  const fault = keyFault(value);
  if (fault !== undefined) return rejected(`the only key: ${fault.plain}`, `failed to parse sole key in key set: ${fault.go}`);
  return { privateKeys: isPrivate(value) ? [0] : [] };
}

function rejected(plain: string, go: string, privateKeys: readonly number[] = []): JwksCheck {
  return { error: { plain, go }, privateKeys };
}

function checkKeys(keys: unknown): JwksCheck {
  if (keys === null) return { privateKeys: [] };
  if (!Array.isArray(keys)) return rejected('"keys" is not an array', `failed to decode "keys": ${goTypeError(keys, '[]json.RawMessage')}`);
  const privateKeys: number[] = [];
  for (const [index, key] of keys.entries()) {
    const fault = keyFault(key);
    if (fault !== undefined) {
      return rejected(`keys[${index}]: ${fault.plain}`, `failed to decode key #${index} in "keys": ${fault.go}`, privateKeys);
    }
    if (isPrivate(key)) privateKeys.push(index);
  }
  return { privateKeys };
}

function keyFault(key: unknown): JwksFault | undefined {
  if (key === null) return { plain: 'expected an object, found null', go: 'invalid key type from JSON ()' };
  const kty = isRecord(key) ? folded(key, 'kty') : key;
  if (!isRecord(key) || (kty !== undefined && kty !== null && typeof kty !== 'string')) {
    return { plain: 'expected an object with a string "kty"', go: 'failed to unmarshal JSON into key hint' };
  }
  const kinds = KINDS.get(String(kty ?? ''));
  if (kinds === undefined) return { plain: `unknown "kty" "${kty ?? ''}"`, go: `invalid key type from JSON (${kty ?? ''})` };
  const kind = folded(key, 'd') === undefined ? kinds.public : kinds.private;
  const fault = memberFault(key, String(kty), kind) ?? missingFault(key, kind);
  return fault === undefined
    ? undefined
    : { plain: fault.plain, go: `failed to unmarshal JSON into key (*jwk.${kind.goType}): ${fault.go}` };
}

function memberFault(key: Key, kty: string, { members }: KeyKind): JwksFault | undefined {
  for (const [member, value] of Object.entries(key)) {
    if (member === 'kty') {
      if (value !== kty) return { plain: 'conflicting values of "kty"', go: `invalid kty value (${goString(value)})` };
    } else if (Object.hasOwn(members, member)) {
      const fault = members[member]?.(value);
      if (fault !== undefined) return { plain: `"${member}": ${fault.plain}`, go: `failed to decode value for key ${member}: ${fault.go}` };
    }
  }
  return undefined;
}

function missingFault(key: Key, { required }: KeyKind): JwksFault | undefined {
  const missing = required.find((member) => !Object.hasOwn(key, member));
  return missing === undefined ? undefined : { plain: `missing member "${missing}"`, go: `required field ${missing} is missing` };
}

/** A symmetric key is always secret: its public and private form are the same. */
function isPrivate(key: unknown): boolean {
  return isRecord(key) && (folded(key, 'kty') === 'oct' || folded(key, 'd') !== undefined);
}

/** Value of the last member with this name in any case, like Go fills a struct. */
function folded(key: Key, lowerName: string): unknown {
  return Object.entries(key).findLast(([member]) => member.toLowerCase() === lowerName)?.[1];
}

/** Guesses the base64 alphabet like the library; Go ignores line breaks. */
function isBase64(encoded: string): boolean {
  const plain = encoded.replaceAll(/[\r\n]/g, '');
  const isPadded = encoded.endsWith('=');
  const isStandard = /[+/]/.test(encoded);
  if (!(isStandard ? /^[A-Za-z0-9+/]*={0,2}$/ : /^[A-Za-z0-9_-]*={0,2}$/).test(plain)) return false;
  return isPadded ? plain.length % 4 === 0 : !plain.endsWith('=') && plain.length % 4 !== 1;
}

/** Reads null and absent as the empty string, like Go. */
function goString(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Whether this is base64 of a single ASN.1 SEQUENCE with nothing after it. */
function isSequence(encoded: string): boolean {
  const der = Buffer.from(encoded, 'base64');
  const [tag, length = 0] = der;
  if (tag !== 0x30) return false;
  const lengthBytes = length < 0x80 ? 0 : length - 0x80;
  if (lengthBytes > 4 || der.length < 2 + lengthBytes) return false;
  return 2 + lengthBytes + (lengthBytes === 0 ? length : der.readUIntBE(2, lengthBytes)) === der.length;
}
