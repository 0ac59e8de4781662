/*
 * Names of key sets inside bundles. In: a JWT rule. Out: an id that depends only on where the keys come from, so that rules
 * with the same source share one key set. Called by compile, by the lowering of JWT rules and by the key keeper.
 */
import { createHash } from 'node:crypto';
import type { JwtRule } from '../api/istio/resources.ts';

const HASH_LENGTH = 16;

/**
 * The key of the rule's key set in `Bundle.keySets`: `inline-` or `remote-` and 16 hex digits. Inline keys that are not
 * empty win over a URL; without either the keys come from discovery at the issuer.
 */
export function keySetId(rule: JwtRule): string {
  if (hasInlineKeys(rule)) return `inline-${hash(rule.jwks ?? '')}`;
  return `remote-${hash(JSON.stringify([rule.issuer ?? '', rule.jwksUri ?? '']))}`;
}

/** Does the rule carry its keys itself, so that nothing is fetched? */
export function hasInlineKeys(rule: JwtRule): boolean {
  return rule.jwks !== undefined && rule.jwks !== '';
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}
