/*
 * Turns the keys of a bundle into key objects, once, before the first token comes. In: sanitised key members. Out:
 * imported keys in the same order. Called when an authenticator is created and to prove that a parsed key is usable.
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { BundleKey, KeySet } from '../bundle/bundle.ts';

/** A key ready for use. */
export interface ImportedKey {
  readonly type: 'RSA' | 'EC' | 'oct' | 'OKP';
  /** `''`: the key answers to every `kid`. */
  readonly kid: string;
  /** `''`: the key answers to every `alg`. */
  readonly alg: string;
  readonly key: KeyObject;
}

/** The keys of `keySet` in its order. A member that cannot be imported is left out: it then verifies nothing. */
export function importKeySet(keySet: KeySet): readonly ImportedKey[] {
  return keySet.keys.flatMap((key) => importKey(key) ?? []);
}

/** `key` as a key object; `undefined` when the platform refuses it (e.g. a point that is not on its curve). */
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
    // The platform's own words say nothing that a user could act on; the caller reports the key.
    return undefined;
  }
}
