/*
 * Ids of key sets in bundles. An id depends only on where the keys come from, so that rules with the same source share one key
 * set, in a bundle and in the key cache.
 */
import { createHash } from 'node:crypto';
import type { JwtRule } from '../api/istio/resources.ts';

const HASH_LENGTH = 16;

/**
 * The id of the rule's key set in `Bundle.keySets`: `inline-` or `remote-` and 16 hexadecimal digits. Inline keys that are not
 * empty take precedence over a URL; without either, the keys come from discovery at the issuer.
 */
export function keySetId(rule: JwtRule): string {
  if (hasInlineKeys(rule)) return `inline-${hash(rule.jwks ?? '')}`;
  return `remote-${hash(JSON.stringify([rule.issuer ?? '', rule.jwksUri ?? '']))}`;
}

/** Whether the rule contains its keys, so that none are fetched. */
export function hasInlineKeys(rule: JwtRule): boolean {
  return rule.jwks !== undefined && rule.jwks !== '';
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}
