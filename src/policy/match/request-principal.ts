/*
 * Request principals: `iss/sub` of a verified token.
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
 * Parses a value of `requestPrincipals`. It is split at the last slash, whatever the issuer or subject contains. A leading `*` belongs to
 * the issuer, a trailing one to the subject.
 * @example parseRequestPrincipal('https://idp/*') // iss exactly `https://idp`, any sub
 */
export function parseRequestPrincipal(value: string): RequestPrincipalMatch {
  if (value === '*') return { iss: PRESENT, sub: PRESENT };
  const slash = value.lastIndexOf('/');
  const iss = slash === -1 ? value : value.slice(0, slash);
  const sub = value.slice(slash + 1);
  if (value.startsWith('*')) {
    if (slash === -1) return { iss: PRESENT, sub: { kind: 'suffix', value: value.slice(1) } };
    return { iss: iss === '*' ? PRESENT : { kind: 'suffix', value: iss.slice(1) }, sub: exact(sub) };
  }
  if (value.endsWith('*')) {
    if (slash === -1) return { iss: { kind: 'prefix', value: value.slice(0, -1) }, sub: PRESENT };
    return { iss: exact(iss), sub: sub === '*' ? PRESENT : { kind: 'prefix', value: sub.slice(0, -1) } };
  }
  return { iss: exact(iss), sub: exact(slash === -1 ? '' : sub) };
}

/** A test on the claims `iss` and `sub`; claims that are not strings never match. */
export function compileRequestPrincipal(match: RequestPrincipalMatch): (iss: Json | undefined, sub: Json | undefined) => boolean {
  const issTest = compileStringMatch(match.iss, 'non-empty');
  const subTest = compileStringMatch(match.sub, 'non-empty');
  return (iss, sub) => typeof iss === 'string' && typeof sub === 'string' && issTest(iss) && subTest(sub);
}
