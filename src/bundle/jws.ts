/*
 * Compact JWS with Ed25519 (RFC 7515, RFC 8037) in one exact form: the protected header has three members in one order, all parts are
 * canonical base64url, and the payload is canonical JSON. Whatever else a JWS may be is refused before its signature is computed.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { RefusedError } from '../errors.ts';
import { canonicalJson } from './canonical-json.ts';
import { digestBase64Url } from './digest.ts';

/** What a JWS is for; a signature of one kind never passes as another. */
export type JwsType = 'sallyport-statement' | 'sallyport-keys';

/** A private key with its identifier. */
export interface PrivateKey {
  readonly kid: string;
  readonly key: KeyObject;
}

/** A JWS of the exact form, whose signature is not verified yet. */
export interface ParsedJws {
  readonly kid: string;
  readonly payload: unknown;
  readonly signed: string;
  readonly signature: Buffer;
}

/** Longest JWS that is read, in characters: a list of the most keys has about 1,500. */
const MAX_CHARACTERS = 8 * 1024;
const HEADER = /^\{"alg":"EdDSA","kid":"([A-Za-z0-9_-]{43})","typ":"([a-z-]{1,40})"\}$/;
const COORDINATE = /^[A-Za-z0-9_-]{43}$/;

/** The JWK thumbprint (RFC 7638) of an Ed25519 public key. @param x base64url of the key */
export function thumbprint(x: string): string {
  return digestBase64Url(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
}

/** Whether `x` is the canonical base64url form of 32 bytes. */
export function isCoordinate(x: unknown): x is string {
  return typeof x === 'string' && COORDINATE.test(x) && Buffer.from(x, 'base64url').toString('base64url') === x;
}

/** A public key to verify with. @param x base64url of the key */
export function publicKeyOf(x: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** A private key to sign with. */
export function privateKeyOf({ x, d }: { readonly x: string; readonly d: string }): PrivateKey {
  return { kid: thumbprint(x), key: createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' }) };
}

/** Signs a payload. */
export function signJws(typ: JwsType, payload: object, { kid, key }: PrivateKey): string {
  const signed = `${encode(`{"alg":"EdDSA","kid":"${kid}","typ":"${typ}"}`)}.${encode(canonicalJson(payload))}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

/** Reads a JWS of the exact form; undefined for anything else. */
export function parseJws(typ: JwsType, text: string): ParsedJws | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const [header, body, end, ...rest] = text.split('.');
  if (header === undefined || body === undefined || end === undefined || rest.length > 0) return undefined;
  const parts = [header, body, end].map(decode);
  const [head, payload, signature] = parts;
  if (head === undefined || payload === undefined || signature?.length !== 64) return undefined;
  const [, kid, type] = HEADER.exec(head.toString('latin1')) ?? [];
  if (kid === undefined || type !== typ) return undefined;
  const value = parseCanonical(payload.toString('utf8'));
  return value === undefined ? undefined : { kid, payload: value, signed: `${header}.${body}`, signature };
}

/** @throws RefusedError SP_BUNDLE_SIGNATURE unless the signature is that of `key` */
export function requireSignature({ signed, signature }: ParsedJws, key: KeyObject, what: string): void {
  if (!verify(null, Buffer.from(signed), key, signature))
    throw new RefusedError('SP_BUNDLE_SIGNATURE', `the signature of ${what} is wrong`);
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Undefined unless `text` is what encoding gives: one value has one form. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** Undefined unless `text` is canonical JSON, which also excludes duplicate members. */
function parseCanonical(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return canonicalJson(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}
