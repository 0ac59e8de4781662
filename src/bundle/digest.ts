/*
 * SHA-256 digests in the two forms that bundles use.
 */
import { createHash } from 'node:crypto';

/** `sha256:` and 64 hex digits over the bytes, or the UTF-8 bytes, of `content`. */
export function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The same digest in base64url, without a prefix. */
export function digestBase64Url(content: string): string {
  return createHash('sha256').update(content).digest('base64url');
}
