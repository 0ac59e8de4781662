/*
 * Does one match take everything that another takes? In: two matches on the same attribute. Out: true only when that is
 * certain. Called by rule-cover.
 */
import { compilePathMatch } from '../../policy/decide/compile-clause.ts';
import { compileIdentityMatch } from '../../policy/match/identity.ts';
import { blockContains, parseIpBlock } from '../../policy/match/ip-block.ts';
import { compileStringMatch, type PresentMeaning, toByteMatch, toByteString } from '../../policy/match/string-match.ts';
import type { IdentityMatch, PathMatch, RequestPrincipalMatch, StringMatch } from '../../policy/model/program.ts';

/** On text. @param present what `*` asks of a value of this attribute */
export function coversText(wide: StringMatch, narrow: StringMatch, present: PresentMeaning): boolean {
  if (narrow.kind === 'exact') return compileStringMatch(wide, present)(narrow.value);
  // What begins with a text may hold a newline further on, which `*` does not take.
  if (wide.kind === 'present') return present === 'any' || narrow.kind === 'present';
  if (wide.kind !== narrow.kind) return false;
  return wide.kind === 'prefix' ? narrow.value.startsWith(wide.value) : narrow.value.endsWith(wide.value);
}

/** On text of a request head, which is bytes. */
export function coversBytes(wide: StringMatch, narrow: StringMatch, present: PresentMeaning): boolean {
  return coversText(toByteMatch(wide), toByteMatch(narrow), present);
}

/** On paths, which are never empty and hold no newline. */
export function coversPath(wide: PathMatch, narrow: PathMatch): boolean {
  if (narrow.kind === 'exact') return compilePathMatch(wide)(toByteString(narrow.value));
  if (narrow.kind !== 'template') return wide.kind !== 'template' && coversBytes(wide, narrow, 'any');
  if (wide.kind === 'template') return wide.value === narrow.value;
  return coversBytes(wide, { kind: 'prefix', value: literalStart(narrow.value) }, 'any');
}

/** Every path that the template takes begins with this. */
export function literalStart(template: string): string {
  return template.slice(0, template.indexOf('{'));
}

/** On CIDR blocks. */
export function coversBlock(wide: string, narrow: string): boolean {
  const [outer, inner] = [parseIpBlock(wide), parseIpBlock(narrow)];
  return outer !== undefined && inner !== undefined && outer.bits <= inner.bits && blockContains(outer, inner.words);
}

/** On identities of peers. */
export function coversIdentity(wide: IdentityMatch, narrow: IdentityMatch): boolean {
  if (narrow.kind === 'exact') return compileIdentityMatch(wide)(narrow.value);
  if (isText(wide) && isText(narrow)) return coversText(wide, narrow, 'non-empty');
  if (wide.kind === 'namespace' && narrow.kind === 'serviceAccount') return wide.pattern === narrow.namespace;
  return JSON.stringify(wide) === JSON.stringify(narrow);
}

function isText(match: IdentityMatch): match is StringMatch {
  return match.kind === 'prefix' || match.kind === 'suffix' || match.kind === 'exact' || match.kind === 'present';
}

/** On issuer and subject of a token. */
export function coversPrincipal(wide: RequestPrincipalMatch, narrow: RequestPrincipalMatch): boolean {
  return coversText(wide.iss, narrow.iss, 'non-empty') && coversText(wide.sub, narrow.sub, 'non-empty');
}
