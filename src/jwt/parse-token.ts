/*
 * Parses a compact JWS and checks the form of everything that later steps read, without a key and without a clock. Faults are
 * found in Envoy's order.
 */
import { isAscii } from 'node:buffer';
import { LIMITS } from '../limits/agent-limits.ts';
import type { Json } from '../policy/facts.ts';
import { decodeBase64Url } from './base64url.ts';
import { type JsonObject, parseJsonObject } from './parse-json.ts';
import type { TokenFault } from './token-fault.ts';

/** A well-formed token, not yet trusted. */
export interface ParsedToken {
  readonly alg: string;
  /** `''`: absent. */
  readonly kid: string;
  /** `''`: no `iss`. */
  readonly issuer: string;
  readonly subject: string;
  /** Whole Unix seconds; 0: absent. */
  readonly notBefore: number;
  /** Whole Unix seconds; 0: never expires. */
  readonly expires: number;
  readonly audiences: readonly string[];
  /** All members of the payload. */
  readonly claims: JsonObject;
  /** Memory of the JSON text that strings of `claims` are slices of. */
  readonly jsonBytes: number;
  /** The middle segment as sent. */
  readonly payload: string;
  /** The signed part: the first two segments with their dot. */
  readonly signed: string;
  readonly signature: Buffer;
}

/**
 * Maximum length of a token in characters: that of a whole request head, so that no token is refused that Envoy would accept.
 */
export const MAX_TOKEN_LENGTH: number = LIMITS.tokenLength.value;

const ALGORITHMS: ReadonlySet<string> = new Set([
  'ES256',
  'ES384',
  'ES512',
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
]);

const NOT_THREE_PARTS = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections' satisfies TokenFault;
const TWO_TO_THE_64 = 2 ** 64;

/**
 * The parts and registered claims of `token`, or the first fault found.
 * @param token latin1; empty pieces between dots are skipped
 * @see RFC 7515, section 7.1; RFC 7519, section 4.1
 */
export function parseToken(token: string): ParsedToken | TokenFault {
  const pieces = splitPieces(token);
  if (pieces === undefined) {
    return NOT_THREE_PARTS;
  }
  const [first, middle, last] = pieces;
  const head = parseHeader(first);
  if (typeof head === 'string') {
    return head;
  }
  const payloadBytes = decodeBase64Url(middle);
  if (payloadBytes === undefined) {
    return 'Jwt payload is an invalid Base64url encoded';
  }
  const claims = parseJsonObject(payloadBytes);
  if (claims === undefined) {
    return 'Jwt payload is an invalid JSON';
  }
  const registered = readRegisteredClaims(claims);
  if (typeof registered === 'string') {
    return registered;
  }
  const signature = decodeBase64Url(last);
  if (signature === undefined) {
    return 'Jwt signature is an invalid Base64url encoded';
  }
  const jsonBytes = payloadBytes.length * (isAscii(payloadBytes) ? 1 : 2);
  return { ...head, ...registered, claims, jsonBytes, payload: middle, signed: `${first}.${middle}`, signature };
}

/** The three non-empty pieces; `undefined` when there are more or fewer. Stops early on a hostile token with many pieces. */
function splitPieces(token: string): readonly [string, string, string] | undefined {
  if (token.length > MAX_TOKEN_LENGTH) {
    return undefined;
  }
  const pieces: string[] = [];
  let from = 0;
  while (from < token.length) {
    const dot = token.indexOf('.', from);
    const end = dot === -1 ? token.length : dot;
    if (end > from) {
      if (pieces.length === 3) {
        return undefined;
      }
      pieces.push(token.slice(from, end));
    }
    from = end + 1;
  }
  const [first, middle, last] = pieces;
  return first === undefined || middle === undefined || last === undefined ? undefined : [first, middle, last];
}

function parseHeader(piece: string): Pick<ParsedToken, 'alg' | 'kid'> | TokenFault {
  const bytes = decodeBase64Url(piece);
  if (bytes === undefined) {
    return 'Jwt header is an invalid Base64url encoded';
  }
  const header = parseJsonObject(bytes);
  if (header === undefined) {
    return 'Jwt header is an invalid JSON';
  }
  // Nothing else is read: `jwk`, `jku`, `x5u` and `x5c` of an untrusted token must not name a key.
  const alg = header['alg'];
  if (typeof alg !== 'string') {
    return 'Jwt header [alg] field is required and must be a string';
  }
  if (!ALGORITHMS.has(alg)) {
    return 'Jwt header [alg] is not supported';
  }
  const kid = header['kid'];
  if (kid !== undefined && typeof kid !== 'string') {
    return 'Jwt header [kid] field is not a string';
  }
  return { alg, kid: kid ?? '' };
}

type RegisteredClaims = Pick<ParsedToken, 'issuer' | 'subject' | 'notBefore' | 'expires' | 'audiences'>;

function readRegisteredClaims(claims: JsonObject): RegisteredClaims | TokenFault {
  const issuer = claims['iss'] ?? '';
  if (typeof issuer !== 'string' || claims['iss'] === null) {
    return 'Jwt payload [iss] field is not a string';
  }
  const subject = claims['sub'] ?? '';
  if (typeof subject !== 'string' || claims['sub'] === null) {
    return 'Jwt payload [sub] field is not a string';
  }
  const issuedAt = readTime(claims['iat'], 'iat');
  if (typeof issuedAt === 'string') {
    return issuedAt;
  }
  const notBefore = readTime(claims['nbf'], 'nbf');
  if (typeof notBefore === 'string') {
    return notBefore;
  }
  const expires = readTime(claims['exp'], 'exp');
  if (typeof expires === 'string') {
    return expires;
  }
  const id = claims['jti'];
  if (id !== undefined && typeof id !== 'string') {
    return 'Jwt payload [jti] field is not a string';
  }
  const audiences = readAudiences(claims['aud']);
  if (audiences === undefined) {
    return 'Jwt payload [aud] field is not a string or string list';
  }
  return { issuer, subject, notBefore, expires, audiences };
}

function readTime(value: Json | undefined, name: 'iat' | 'nbf' | 'exp'): number | TokenFault {
  if (value === undefined) {
    return 0;
  }
  if (typeof value !== 'number') {
    return `Jwt payload [${name}] field is not an integer`;
  }
  if (value < 0 || value >= TWO_TO_THE_64) {
    return `Jwt payload [${name}] field is not a positive 64 bit integer`;
  }
  return Math.trunc(value);
}

function readAudiences(value: Json | undefined): readonly string[] | undefined {
  if (value === undefined) {
    return [];
  }
  if (typeof value === 'string') {
    return [value];
  }
  if (!Array.isArray(value)) {
    return undefined;
  }
  const items: readonly Json[] = value;
  return items.every((item) => typeof item === 'string') ? items : undefined;
}
