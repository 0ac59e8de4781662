/*
 * Takes a compact JWS apart and checks the form of everything that later steps read; no key and no clock involved.
 * In: the token's text as extracted. Out: the parsed token or the first fault, in the reference proxy's order.
 * Called by the provider before issuer, time, audience and signature are looked at.
 */
import type { Json } from '../policy/facts.ts';
import { decodeBase64Url } from './base64url.ts';
import { type JsonObject, parseJsonObject } from './parse-json.ts';
import type { TokenFault } from './status.ts';

/** A well-formed token, not yet trusted. */
export interface ParsedToken {
  readonly alg: string;
  /** `''`: none. */
  readonly kid: string;
  /** `''`: no `iss`. */
  readonly issuer: string;
  readonly subject: string;
  /** Whole Unix seconds; 0: none. */
  readonly notBefore: number;
  /** Whole Unix seconds; 0: never expires. */
  readonly expires: number;
  readonly audiences: readonly string[];
  /** All members of the payload. */
  readonly claims: JsonObject;
  /** The middle segment as sent. */
  readonly payload: string;
  /** What was signed: the first two segments with their dot. */
  readonly signed: string;
  readonly signature: Buffer;
}

/**
 * Longest token that is looked at, in characters: as much as a whole request head may hold, so that no token the
 * reference proxy would take is refused.
 */
export const MAX_TOKEN_LENGTH: number = 60 * 1024;

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
 * The parts and registered claims of `text`, or the first fault found.
 * @param text latin1; empty pieces between dots are dropped before counting
 * @see RFC 7515, section 7.1; RFC 7519, section 4.1
 */
export function parseToken(text: string): ParsedToken | TokenFault {
  const pieces = splitPieces(text);
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
  return { ...head, ...registered, claims, payload: middle, signed: `${first}.${middle}`, signature };
}

/** The three non-empty pieces; `undefined` when there are more or fewer. Never splits the whole text of a hostile token. */
function splitPieces(text: string): readonly [string, string, string] | undefined {
  if (text.length > MAX_TOKEN_LENGTH) {
    return undefined;
  }
  const pieces: string[] = [];
  let from = 0;
  while (from < text.length) {
    const dot = text.indexOf('.', from);
    const end = dot === -1 ? text.length : dot;
    if (end > from) {
      if (pieces.length === 3) {
        return undefined;
      }
      pieces.push(text.slice(from, end));
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
  // Nothing else is read: no `jwk`, `jku`, `x5u`, `x5c` of a stranger ever names a key.
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
  const list: readonly Json[] = value;
  return list.every((item) => typeof item === 'string') ? list : undefined;
}
