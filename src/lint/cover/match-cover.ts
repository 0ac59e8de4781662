/*
 * Decides whether one match covers another on the same attribute, that is, matches every value that the other matches. The
 * functions return true only if that is certain.
 */
import { compilePathMatch } from '../../policy/match/compile-clause.ts';
import { compileIdentityMatch } from '../../policy/match/identity.ts';
import { blockContains, parseIpBlock } from '../../policy/match/ip-block.ts';
import { compileStringMatch, type PresentMeaning, toByteMatch, toByteString } from '../../policy/match/string-match.ts';
import type { IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../../policy/model/program.ts';

/** Whether `wide` matches every string that `narrow` matches. @param present values that `*` matches for this attribute */
export function coversString(wide: StringMatch, narrow: StringMatch, present: PresentMeaning): boolean {
  if (narrow.kind === 'exact') return compileStringMatch(wide, present)(narrow.value);
  // A value with a given prefix may contain a newline, which `*` does not match.
  if (wide.kind === 'present') return present === 'any' || narrow.kind === 'present';
  if (wide.kind !== narrow.kind) return false;
  return wide.kind === 'prefix' ? narrow.value.startsWith(wide.value) : narrow.value.endsWith(wide.value);
}

/** The same for values of a request head, which are compared as bytes. */
export function coversBytes(wide: StringMatch, narrow: StringMatch, present: PresentMeaning): boolean {
  return coversString(toByteMatch(wide), toByteMatch(narrow), present);
}

/** The same for paths, which are never empty and contain no newline. */
export function coversPath(wide: PathMatch, narrow: PathMatch): boolean {
  if (narrow.kind === 'exact') return compilePathMatch(wide)(toByteString(narrow.value));
  if (narrow.kind !== 'template') return wide.kind !== 'template' && coversBytes(wide, narrow, 'any');
  if (wide.kind === 'template') return wide.value === narrow.value;
  return coversBytes(wide, { kind: 'prefix', value: literalStart(narrow.value) }, 'any');
}

/** Literal prefix of every path that the template matches. */
export function literalStart(template: string): string {
  return template.slice(0, template.indexOf('{'));
}

/** The same for CIDR blocks. */
export function coversBlock(wide: string, narrow: string): boolean {
  const [outer, inner] = [parseIpBlock(wide), parseIpBlock(narrow)];
  return outer !== undefined && inner !== undefined && outer.bits <= inner.bits && blockContains(outer, inner.words);
}

/** The same for peer identities. */
export function coversIdentity(wide: IdentityMatch, narrow: IdentityMatch): boolean {
  if (narrow.kind === 'exact') return compileIdentityMatch(wide)(narrow.value);
  if (isStringMatch(wide) && isStringMatch(narrow)) return coversString(wide, narrow, 'non-empty');
  if (wide.kind === 'namespace' && narrow.kind === 'serviceAccount') return wide.pattern === narrow.namespace;
  return JSON.stringify(wide) === JSON.stringify(narrow);
}

function isStringMatch(match: IdentityMatch): match is StringMatch {
  return match.kind === 'prefix' || match.kind === 'suffix' || match.kind === 'exact' || match.kind === 'present';
}

/** The same for issuer and subject of a token. */
export function coversPrincipal(wide: RequestPrincipalMatch, narrow: RequestPrincipalMatch): boolean {
  return coversString(wide.iss, narrow.iss, 'non-empty') && coversString(wide.sub, narrow.sub, 'non-empty');
}
