/*
 * A map of X.509 certificates by key id, as Google serves them. In: the parsed document. Out: its keys. Called by `parseJwks`
 * for a document without `keys`.
 */
import { X509Certificate } from 'node:crypto';
import type { BundleKey } from '../bundle/bundle.ts';
import type { JsonObject } from './parse-json.ts';

const FIRST_LINE = '-----BEGIN CERTIFICATE-----\n';
const LAST_LINE = '-----END CERTIFICATE-----\n';

/** Every member is `"<kid>": "<PEM of an RSA certificate>"`, line end included; one bad member spoils the document, and it has no keys. */
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
    // Not a certificate: the caller refuses the whole document.
    return undefined;
  }
}
