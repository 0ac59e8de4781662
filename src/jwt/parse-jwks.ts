/*
 * Parses a JWKS document, or a map of X.509 certificates, into the public members that verification needs. Used for inline keys
 * of policies and for key sets fetched from a key server.
 * @see RFC 7517; RFC 7518, section 6; RFC 8037
 */
import type { BundleKey } from '../bundle/bundle.ts';
import type { Json } from '../policy/facts.ts';
import { decodeBase64Url } from './base64url.ts';
import { keysOfCertificates } from './certificate-map.ts';
import { importKey } from './import-key.ts';
import { isJsonObject, type JsonObject, parseJson } from './parse-json.ts';

/** Maximum number of keys of one document; the rest is reported and ignored. Each key may cost one signature check per token. */
export const MAX_KEYS = 100;
/** Maximum number of reported problems of one document; more could fill the status of a policy. */
export const MAX_PROBLEMS = 20;

/**
 * The content of a document. `problems`: one sentence for each element that is unusable or weak, which names its index and its `kid`;
 * after {@link MAX_PROBLEMS} a last one says that there are more.
 */
export interface ParsedJwks {
  /** In document order; empty: the document has no usable key. */
  readonly keys: readonly BundleKey[];
  readonly problems: readonly string[];
  /** Those of `problems` that are about elements which are not in `keys`. */
  readonly leftOut: readonly string[];
}

/** `symmetric: false` refuses `oct` keys, as is right for keys fetched from a public URL. Default: accepted. */
export interface JwksOptions {
  readonly symmetric?: boolean;
}

type KeyResult = { readonly key: BundleKey } | { readonly problem: string };

const EC_CURVES: ReadonlyMap<string, { readonly alg: string; readonly bytes: number }> = new Map([
  ['P-256', { alg: 'ES256', bytes: 32 }],
  ['P-384', { alg: 'ES384', bytes: 48 }],
  ['P-521', { alg: 'ES512', bytes: 66 }],
]);
const HMAC_ALGORITHMS: ReadonlySet<string> = new Set(['HS256', 'HS384', 'HS512']);
const RSA_EXPONENTS: ReadonlySet<string> = new Set(['AQAB', 'Aw']);
const MIN_RSA_BYTES = 128;
const MAX_RSA_BYTES = 1024;
const SOUND_RSA_BYTES = 256;
/** Characters of a `kid` in a problem: the document may be of a third party. */
const MAX_SHOWN_KID = 64;

/** The usable keys of a JWKS document in order, with canonical encodings and without private members. Never throws. */
export function parseJwks(text: string, options: JwksOptions = {}): ParsedJwks {
  const document = parseJson(text);
  if (!isJsonObject(document)) {
    return nothing('Jwks is an invalid JSON');
  }
  const list = document['keys'];
  if (list === undefined) {
    return parseCertificates(document);
  }
  if (!Array.isArray(list)) {
    return nothing('[keys] in Jwks is not an array');
  }
  const keys: BundleKey[] = [];
  const problems: string[] = [];
  const leftOut: string[] = [];
  for (const [index, element] of list.entries()) {
    if (keys.length === MAX_KEYS) {
      const problem = `keys[${index}]: more than ${MAX_KEYS} keys, the rest is ignored`;
      note(problems, problem);
      leftOut.push(problem);
      break;
    }
    const result = parseKey(element, options.symmetric ?? true);
    if ('problem' in result) {
      const problem = `${placeOf(element, index)}: ${result.problem}`;
      note(problems, problem);
      note(leftOut, problem);
    } else {
      keys.push(result.key);
      if (isWeak(result.key)) note(problems, `${placeOf(element, index)}: RSA key is shorter than 2048 bits`);
    }
  }
  if (list.length === 0) {
    problems.push("Jwks doesn't have any valid public key");
  }
  return { keys, problems, leftOut };
}

function nothing(problem: string): ParsedJwks {
  return { keys: [], problems: [problem], leftOut: [] };
}

/** The element by its index, and by its `kid` when it has one. */
function placeOf(element: Json, index: number): string {
  const kid = isJsonObject(element) ? element['kid'] : undefined;
  return typeof kid === 'string' && kid !== '' ? `keys[${index}] (kid ${JSON.stringify(kid.slice(0, MAX_SHOWN_KID))})` : `keys[${index}]`;
}

function note(problems: string[], problem: string): void {
  if (problems.length < MAX_PROBLEMS) {
    problems.push(problem);
  } else if (problems.length === MAX_PROBLEMS) {
    problems.push('there are more problems');
  }
}

function isWeak(key: BundleKey): boolean {
  const modulus = key['n'];
  return modulus !== undefined && Buffer.from(modulus, 'base64url').length < SOUND_RSA_BYTES;
}

/** A map of certificates in place of a JWKS. */
function parseCertificates(document: JsonObject): ParsedJwks {
  const keys = keysOfCertificates(document);
  return keys.length === 0 ? nothing('Jwks does not have [keys] field') : { keys: keys.slice(0, MAX_KEYS), problems: [], leftOut: [] };
}

function parseKey(element: Json, symmetric: boolean): KeyResult {
  if (!isJsonObject(element)) {
    return { problem: 'is not an object' };
  }
  const kty = element['kty'];
  if (kty === undefined) {
    return { problem: '[kty] is missing in [keys]' };
  }
  if (typeof kty !== 'string') {
    return { problem: '[kty] is bad in [keys]' };
  }
  const result = parseByType(kty, element, symmetric);
  if ('problem' in result) {
    return result;
  }
  const named: Record<string, string> = { ...result.key };
  for (const member of ['kid', 'alg']) {
    const value = element[member];
    // A value of another type, or an empty one, counts as absent.
    if (typeof value === 'string' && value !== '') {
      named[member] = value;
    }
  }
  return importKey(named) === undefined ? { problem: `${kty} key has a parse error` } : { key: named };
}

function parseByType(kty: string, key: JsonObject, symmetric: boolean): KeyResult {
  switch (kty) {
    case 'RSA':
      return parseRsa(key);
    case 'EC':
      return parseEc(key);
    case 'oct':
      return symmetric ? parseOct(key) : { problem: 'HMAC keys are secrets and are not taken from an address' };
    case 'OKP':
      return parseOkp(key);
    default:
      return { problem: '[kty] is not supported in [keys]' };
  }
}

/** Bytes of a base64url member, or the problem with it as a string. */
function readBytes(key: JsonObject, member: string, noun: string): Buffer | string {
  const value = key[member];
  if (value === undefined) {
    return `[${member}] field is missing for ${noun} key`;
  }
  if (typeof value !== 'string') {
    return `[${member}] field is not string for ${noun} key`;
  }
  return decodeBase64Url(value) ?? `[${member}] field is an invalid Base64 for ${noun} key`;
}

/** The member `alg`; `''`, which means the same as absent, when it is of another type. */
function algorithmOf({ alg }: JsonObject): string {
  return typeof alg === 'string' ? alg : '';
}

function trimZeros(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) {
    start += 1;
  }
  return bytes.subarray(start);
}

function parseRsa(key: JsonObject): KeyResult {
  const alg = algorithmOf(key);
  if (alg !== '' && !/^[RP]S/.test(alg)) {
    return { problem: '[alg] is not started with [RS] or [PS] for an RSA key' };
  }
  const modulus = readBytes(key, 'n', 'a RSA');
  if (typeof modulus === 'string') {
    return { problem: modulus };
  }
  const exponent = readBytes(key, 'e', 'a RSA');
  if (typeof exponent === 'string') {
    return { problem: exponent };
  }
  const n = trimZeros(modulus);
  const e = trimZeros(exponent).toString('base64url');
  const odd = ((n.at(-1) ?? 0) & 1) === 1;
  if (!RSA_EXPONENTS.has(e) || !odd || n.length < MIN_RSA_BYTES || n.length > MAX_RSA_BYTES) {
    return { problem: 'Jwks RSA [n] or [e] field is missing or has a parse error' };
  }
  return { key: { kty: 'RSA', n: n.toString('base64url'), e } };
}

/** The curve that `crv` and `alg` name together, or the problem with them as a string. */
function ecCurve(key: JsonObject): { readonly name: string; readonly bytes: number } | string {
  const alg = algorithmOf(key);
  const { crv = '' } = key;
  if (alg !== '' && !alg.startsWith('ES')) {
    return '[alg] is not started with [ES] for an EC key';
  }
  if (typeof crv !== 'string') {
    return '[crv] field is not string for an EC key';
  }
  const byAlg = alg === '' ? undefined : ([...EC_CURVES].find(([, curve]) => curve.alg === alg)?.[0] ?? '');
  if (byAlg !== undefined && crv !== '' && byAlg !== crv) {
    return '[crv] field specified is not compatible with [alg] for an EC key';
  }
  const name = crv === '' ? (byAlg ?? 'P-256') : crv;
  const bytes = EC_CURVES.get(name)?.bytes;
  return bytes === undefined ? '[crv] or [alg] field is not supported for an EC key' : { name, bytes };
}

function parseEc(key: JsonObject): KeyResult {
  const curve = ecCurve(key);
  if (typeof curve === 'string') {
    return { problem: curve };
  }
  const x = readBytes(key, 'x', 'an EC');
  const y = readBytes(key, 'y', 'an EC');
  if (typeof x === 'string' || typeof y === 'string') {
    return { problem: typeof x === 'string' ? x : String(y) };
  }
  const point = [trimZeros(x), trimZeros(y)] as const;
  if (point.some((part) => part.length > curve.bytes)) {
    return { problem: 'Jwks EC [x] and [y] fields have a parse error.' };
  }
  return { key: { kty: 'EC', crv: curve.name, x: padded(point[0], curve.bytes), y: padded(point[1], curve.bytes) } };
}

function padded(bytes: Buffer, length: number): string {
  return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]).toString('base64url');
}

function parseOct(key: JsonObject): KeyResult {
  const alg = algorithmOf(key);
  if (alg !== '' && !HMAC_ALGORITHMS.has(alg)) {
    return { problem: '[alg] does not start with [HS] for an HMAC key' };
  }
  const secret = readBytes(key, 'k', 'an HMAC');
  if (typeof secret === 'string') {
    return { problem: secret };
  }
  return secret.length === 0 ? { problem: '[k] field is empty for an HMAC key' } : { key: { kty: 'oct', k: secret.toString('base64url') } };
}

function parseOkp(key: JsonObject): KeyResult {
  const alg = algorithmOf(key);
  if (alg !== '' && alg !== 'EdDSA') {
    return { problem: '[alg] is not [EdDSA] for an OKP key' };
  }
  const crv = key['crv'];
  if (typeof crv !== 'string') {
    return { problem: `[crv] field is ${crv === undefined ? 'missing' : 'not string'} for an OKP key` };
  }
  if (crv !== 'Ed25519') {
    return { problem: '[crv] field is not supported for an OKP key' };
  }
  const x = readBytes(key, 'x', 'an OKP');
  if (typeof x === 'string') {
    return { problem: x };
  }
  return x.length === 32 ? { key: { kty: 'OKP', crv, x: x.toString('base64url') } } : { problem: 'Jwks OKP [x] field is wrong length.' };
}
