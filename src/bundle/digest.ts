/*
 * SHA-256 digests in the two forms that bundles use.
 */
import { createHash, hash as hashOf } from 'node:crypto';
import type { Steps } from '../steps.ts';

/** Bytes of one step. */
const BYTES_PER_STEP = 256 * 1024;

/** `sha256:` and 64 hex digits over the bytes, or the UTF-8 bytes, of `content`. */
export function digestOf(content: string | Uint8Array): string {
  return `sha256:${hashOf('sha256', content, 'hex')}`;
}

/** The same as {@link digestOf} in steps. */
export function* digestInSteps(content: Uint8Array): Steps<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < content.length; at += BYTES_PER_STEP) {
    hash.update(content.subarray(at, at + BYTES_PER_STEP));
    yield;
  }
  return `sha256:${hash.digest('hex')}`;
}

/** The same digest in base64url, without a prefix. */
export function digestBase64Url(content: string): string {
  return hashOf('sha256', content, 'base64url');
}
