/*
 * Converts the keys of a bundle to key objects of node:crypto.
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { BundleKey, KeySet } from '../bundle/bundle.ts';

/** A key that can verify signatures. */
export interface ImportedKey {
  readonly type: 'RSA' | 'EC' | 'oct' | 'OKP';
  /** `''`: the key matches every `kid`. */
  readonly kid: string;
  /** `''`: the key matches every `alg`. */
  readonly alg: string;
  readonly key: KeyObject;
}

/** The keys of `keySet` in order. A key that cannot be imported is skipped; it then verifies nothing. */
export function importKeySet(keySet: KeySet): readonly ImportedKey[] {
  return keySet.keys.flatMap((key) => importKey(key) ?? []);
}

/** `key` as a key object; `undefined` when node:crypto refuses it (e.g. a point that is not on its curve). */
export function importKey(key: BundleKey): ImportedKey | undefined {
  const { kty, kid, alg, ...members } = key;
  const named = { kid: kid ?? '', alg: alg ?? '' };
  try {
    switch (kty) {
      case 'RSA':
      case 'EC':
      case 'OKP':
        return { type: kty, ...named, key: createPublicKey({ key: { kty, ...members }, format: 'jwk' }) };
      case 'oct':
        return { type: kty, ...named, key: createSecretKey(members['k'] ?? '', 'base64url') };
      default:
        return undefined;
    }
  } catch {
    // OpenSSL's message does not help a user; the caller reports the key.
    return undefined;
  }
}
