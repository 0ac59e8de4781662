/*
 * Request principals: `iss/sub` of a verified token. In: text from a policy, or claims. Out: the model's match, and tests.
 * Used by lower (parse) and decide (compile).
 * @see istio pilot/pkg/security/authz/model/generator.go, requestPrincipalGenerator
 */

import type { Json } from '../facts.ts';
import type { RequestPrincipalMatch, StringMatch } from '../model/program.ts';
import { compileStringMatch } from './string-match.ts';

const PRESENT: StringMatch = { kind: 'present' };

function exact(value: string): StringMatch {
  return { kind: 'exact', value };
}

/**
 * Splits at the last slash, whatever the issuer or subject holds. A leading star belongs to the issuer, a trailing one to
 * the subject.
 * @example parseRequestPrincipal('https://idp/*') // iss exactly `https://idp`, any sub
 */
export function parseRequestPrincipal(text: string): RequestPrincipalMatch {
  if (text === '*') return { iss: PRESENT, sub: PRESENT };
  const slash = text.lastIndexOf('/');
  const iss = slash === -1 ? text : text.slice(0, slash);
  const sub = text.slice(slash + 1);
  if (text.startsWith('*')) {
    if (slash === -1) return { iss: PRESENT, sub: { kind: 'suffix', value: text.slice(1) } };
    return { iss: iss === '*' ? PRESENT : { kind: 'suffix', value: iss.slice(1) }, sub: exact(sub) };
  }
  if (text.endsWith('*')) {
    if (slash === -1) return { iss: { kind: 'prefix', value: text.slice(0, -1) }, sub: PRESENT };
    return { iss: exact(iss), sub: sub === '*' ? PRESENT : { kind: 'prefix', value: sub.slice(0, -1) } };
  }
  return { iss: exact(iss), sub: exact(slash === -1 ? '' : sub) };
}

/** Compiles a match on the claims `iss` and `sub`; claims that are not strings never match. */
export function compileRequestPrincipal(match: RequestPrincipalMatch): (iss: Json | undefined, sub: Json | undefined) => boolean {
  const issTest = compileStringMatch(match.iss, 'non-empty');
  const subTest = compileStringMatch(match.sub, 'non-empty');
  return (iss, sub) => typeof iss === 'string' && typeof sub === 'string' && issTest(iss) && subTest(sub);
}
