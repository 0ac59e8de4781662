/*
 * A generated request, and values for it that satisfy the matchers of rules.
 */
import type { Json } from '../../policy/facts.ts';
import { lookUpClaim } from '../../policy/match/claim.ts';
import type { IdentityMatch, PathMatch } from '../../policy/model/program.ts';

/** Claims by name. */
export type GeneratedClaims = Readonly<Record<string, Json>>;

/** Where a token is in a request. `prefix` precedes it in the header. */
export type TokenPlace =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'parameter' | 'cookie'; readonly name: string };

/** A token for the caller to sign. */
export interface GeneratedToken {
  readonly claims: GeneratedClaims;
  readonly place: TokenPlace;
}

/** A generated request, before its tokens are signed. */
export interface GeneratedRequest {
  readonly method: string;
  readonly path: string;
  /** Absent: the caller's default. */
  readonly host?: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly sourceIp?: string;
  readonly destinationIp?: string;
  readonly port?: number;
  /** URI in the client's certificate; absent: no mTLS. */
  readonly peer?: string;
  readonly sni?: string;
  /** Never empty; the last one is the identity. Absent: no token. */
  readonly tokens?: readonly GeneratedToken[];
}

/** Stands for anything that a matcher leaves open. */
export const FILLER = 'x1';

/** A string that satisfies the matcher. */
export function matchingText(match: PathMatch): string {
  switch (match.kind) {
    case 'exact':
      return match.value;
    case 'prefix':
      return match.value + FILLER;
    case 'suffix':
      return FILLER + match.value;
    case 'present':
      return FILLER;
    case 'template':
      return match.value.replaceAll('{**}', `${FILLER}/${FILLER}`).replaceAll('{*}', FILLER);
  }
}

/** A SPIFFE URI that satisfies the matcher. */
export function matchingPeer(match: IdentityMatch): string {
  switch (match.kind) {
    case 'namespace':
      return `spiffe://cluster.local/ns/${match.pattern.replaceAll('*', FILLER)}/sa/${FILLER}`;
    case 'serviceAccount':
      return `spiffe://cluster.local/ns/${match.namespace}/sa/${match.name}`;
    case 'trustDomain':
      return `spiffe://${match.prefix}${FILLER}${match.suffix}/ns/${FILLER}/sa/${FILLER}`;
    case 'spiffeSuffix':
      return `spiffe://${FILLER}${match.value}`;
    default:
      return matchingText(match);
  }
}

/** `claims` with `value` at `path`; a value on the way that is not an object is replaced. */
export function withClaim(claims: GeneratedClaims, [name = '', ...rest]: readonly string[], value: Json): GeneratedClaims {
  if (rest.length === 0) return { ...claims, [name]: value };
  const inner = lookUpClaim(claims, [name]);
  const object = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as GeneratedClaims) : {};
  return { ...claims, [name]: withClaim(object, rest, value) };
}
