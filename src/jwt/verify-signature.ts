/*
 * Selects the keys that may have signed a token and verifies its signature with node:crypto, synchronously. The type of the key,
 * not the token, determines the family of algorithms.
 */
import { constants, createHmac, timingSafeEqual, verify } from 'node:crypto';
import type { ImportedKey } from './import-key.ts';
import type { ParsedToken } from './parse-token.ts';
import { NO_MATCHING_KEY, type TokenFault, VERIFICATION_FAILS } from './token-fault.ts';

const ED25519_SIGNATURE_BYTES = 64;

/**
 * The fault of a token that none of `keys` verifies; `undefined`: the signature is valid. Keys are tried in order; a key with
 * another `kid` or `alg` is skipped, and a token without `kid` is tried against all keys.
 * @see RFC 7515, section 5.2; RFC 8725, section 3.1
 */
export function verifySignature(token: ParsedToken, keys: readonly ImportedKey[]): TokenFault | undefined {
  let fault: TokenFault = NO_MATCHING_KEY;
  let signed: Buffer | undefined;
  for (const key of keys) {
    if ((token.kid !== '' && key.kid !== '' && key.kid !== token.kid) || (key.alg !== '' && key.alg !== token.alg)) {
      continue;
    }
    fault = VERIFICATION_FAILS;
    if (key.type === 'OKP' && token.signature.length !== ED25519_SIGNATURE_BYTES) {
      return 'Jwt ED25519 signature is wrong length';
    }
    // A signature of another length needs no cryptography to be refused.
    if (key.signatureBytes !== 0 && token.signature.length !== key.signatureBytes) continue;
    signed ??= Buffer.from(token.signed, 'latin1');
    if (isSignedBy(token, signed, key)) {
      return undefined;
    }
  }
  return fault;
}

function isSignedBy(token: ParsedToken, signed: Buffer, key: ImportedKey): boolean {
  switch (key.type) {
    case 'RSA':
      return isSignedByRsa(token, signed, key);
    case 'EC':
      return verify(hashOf(token.alg, 'ES'), signed, { key: key.key, dsaEncoding: 'ieee-p1363' }, token.signature);
    case 'OKP':
      return verify(null, signed, key.key, token.signature);
    case 'oct': {
      const expected = createHmac(hashOf(token.alg, 'HS'), key.key).update(signed).digest();
      return expected.length === token.signature.length && timingSafeEqual(expected, token.signature);
    }
  }
}

function isSignedByRsa(token: ParsedToken, signed: Buffer, key: ImportedKey): boolean {
  const family = token.alg.slice(0, 2);
  if (family === 'RS') {
    return verify(hashOf(token.alg, family), signed, key.key, token.signature);
  }
  if (family === 'PS') {
    const options = { key: key.key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return verify(hashOf(token.alg, family), signed, options, token.signature);
  }
  return false;
}

/** The hash that `alg` names if it belongs to `family`; otherwise SHA-256. */
function hashOf(alg: string, family: string): 'sha256' | 'sha384' | 'sha512' {
  if (alg === `${family}384`) {
    return 'sha384';
  }
  return alg === `${family}512` ? 'sha512' : 'sha256';
}
