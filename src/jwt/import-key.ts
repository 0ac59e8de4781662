/*
 * Converts the keys of a bundle to key objects of node:crypto.
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { BundleKey, KeySet } from '../bundle/bundle.ts';
import type { Steps } from '../steps.ts';

/** A key that can verify signatures. */
export interface ImportedKey {
  readonly type: 'RSA' | 'EC' | 'oct' | 'OKP';
  /** `''`: the key matches every `kid`. */
  readonly kid: string;
  /** `''`: the key matches every `alg`. */
  readonly alg: string;
  readonly key: KeyObject;
  /** Length of its signatures; 0: depends on the algorithm of the token. */
  readonly signatureBytes: number;
}

/** The keys of `keySet` in order. A key that cannot be imported is skipped; it then verifies nothing. */
export function* importKeySet(keySet: KeySet): Steps<readonly ImportedKey[]> {
  const imported: ImportedKey[] = [];
  for (const key of keySet.keys) {
    const one = importKey(key);
    if (one !== undefined) imported.push(one);
    yield;
  }
  return imported;
}

/** `key` as a key object; `undefined` when node:crypto refuses it (e.g. a point that is not on its curve). */
export function importKey(key: BundleKey): ImportedKey | undefined {
  const { kty, kid, alg, ...members } = key;
  const named = { kid: kid ?? '', alg: alg ?? '' };
  try {
    switch (kty) {
      case 'RSA':
      case 'EC':
      case 'OKP': {
        const imported = createPublicKey({ key: { kty, ...members }, format: 'jwk' });
        return { type: kty, ...named, key: imported, signatureBytes: signatureBytes(imported) };
      }
      case 'oct':
        return { type: kty, ...named, key: createSecretKey(members['k'] ?? '', 'base64url'), signatureBytes: 0 };
      default:
        return undefined;
    }
  } catch {
    // OpenSSL's message does not help a user; the caller reports the key.
    return undefined;
  }
}

/** Bytes of two coordinates, by curve. */
const EC_SIGNATURE_BYTES: ReadonlyMap<string, number> = new Map([
  ['prime256v1', 64],
  ['secp384r1', 96],
  ['secp521r1', 132],
]);

function signatureBytes({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): number {
  if (asymmetricKeyType === 'rsa') return Math.ceil((asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  return EC_SIGNATURE_BYTES.get(asymmetricKeyDetails?.namedCurve ?? '') ?? 0;
}
