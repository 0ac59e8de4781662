/*
 * Keys and tokens for tests, made by jose, an independent implementation. Not a test itself.
 */
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { BundleKey } from '../../../src/bundle/bundle.ts';
import { PreparedRequest } from '../../../src/http/normalize/prepared-request.ts';
import type { TokenRequest } from '../../../src/jwt/token-request.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';

/** Whole Unix seconds; the tokens of {@link sign} are valid then. */
export const NOW = 1_788_220_800;
/** The issuer of tokens unless another is given. */
export const ISSUER = 'https://issuer.example';

/** A key pair (or secret) with its algorithm. */
export interface SigningKey {
  readonly alg: string;
  readonly privateKey: CryptoKey | Uint8Array;
  readonly publicKey: BundleKey;
}

/** A fresh key pair (or secret) for `alg`. */
export async function makeKey(alg: string, members: Readonly<Record<string, string>> = {}): Promise<SigningKey> {
  if (alg.startsWith('HS')) {
    const secret = crypto.getRandomValues(new Uint8Array(64));
    return { alg, privateKey: secret, publicKey: { kty: 'oct', k: Buffer.from(secret).toString('base64url'), ...members } };
  }
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, ...(alg === 'EdDSA' ? { crv: 'Ed25519' } : {}) });
  return { alg, privateKey, publicKey: { ...((await exportJWK(publicKey)) as Record<string, string>), ...members } };
}

/** A token of `key` with these claims; `iss` is {@link ISSUER} unless given. */
export function sign(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return new SignJWT({ iss: ISSUER, sub: 'me', ...claims }).setProtectedHeader({ alg: key.alg, ...header }).sign(key.privateKey);
}

/** base64url of a string, or of another value as JSON. */
export function segment(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A token with an invalid signature. */
export function unsigned(payload: unknown, header: unknown = { alg: 'RS256' }): string {
  return `${segment(header)}.${segment(payload)}.c2ln`;
}

/** A JWT rule with the default locations. */
export function provider(changes: Partial<JwtProvider> = {}): JwtProvider {
  return {
    name: 'origins-0',
    source: { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra', generation: 1, rule: 0 },
    issuer: ISSUER,
    audiences: [],
    headers: [{ name: 'authorization', prefix: 'Bearer ' }],
    params: ['access_token'],
    cookies: [],
    forward: false,
    payloadHeader: '',
    claimHeaders: [],
    spaceDelimitedClaims: ['permission', 'scope'],
    keySet: 'keys',
    required: false,
    ...changes,
  };
}

/** A normalized GET request with these headers. */
export function requestWith(headers: readonly string[], target = '/path'): TokenRequest {
  return Object.assign(new PreparedRequest('GET', [...headers]), { scheme: 'http', host: 'app.foo:8000', target });
}
