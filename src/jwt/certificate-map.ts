/*
 * A map of X.509 certificates by key id, as Google publishes them in place of a JWKS.
 */
import { X509Certificate } from 'node:crypto';
import type { BundleKey } from '../bundle/bundle.ts';
import type { JsonObject } from './parse-json.ts';

const FIRST_LINE = '-----BEGIN CERTIFICATE-----\n';
const LAST_LINE = '-----END CERTIFICATE-----\n';

/**
 * The keys of the map, each member of which is `"<kid>": "<PEM of an RSA certificate>"`, newline included. Empty when any member
 * is invalid.
 */
export function keysOfCertificates(document: JsonObject): readonly BundleKey[] {
  const keys: BundleKey[] = [];
  for (const [kid, pem] of Object.entries(document)) {
    const isPem = typeof pem === 'string' && pem.startsWith(FIRST_LINE) && pem.endsWith(LAST_LINE);
    const members = isPem ? readCertificate(pem) : undefined;
    if (kid === '' || members === undefined) return [];
    keys.push({ ...members, kid });
  }
  return keys;
}

function readCertificate(pem: string): BundleKey | undefined {
  try {
    const { kty, n, e } = new X509Certificate(pem).publicKey.export({ format: 'jwk' });
    return kty === 'RSA' && typeof n === 'string' && typeof e === 'string' ? { kty, n, e } : undefined;
  } catch {
    // Not a certificate; the caller rejects the whole document.
    return undefined;
  }
}
