/*
 * The checks of a parsed token that need no key: issuer, time and audience. They run before the signature is verified; time is
 * checked again on every use of a cached token.
 */
import { LIMITS } from '../limits/agent-limits.ts';
import type { ParsedToken } from './parse-token.ts';
import { AUDIENCE_NOT_ALLOWED, type TokenFault, UNKNOWN_ISSUER } from './token-fault.ts';

/** Tolerated difference of clocks in seconds, at both ends of a token's lifetime. */
export const CLOCK_SKEW_SECONDS: number = LIMITS.clockSkew.value / 1000;

/**
 * The fault of a token from another issuer; `undefined`: the issuer is right.
 * @param issuer the rule's issuer; `''`: any
 */
export function checkIssuer(token: Pick<ParsedToken, 'issuer'>, issuer: string): TokenFault | undefined {
  return issuer === '' || token.issuer === issuer ? undefined : UNKNOWN_ISSUER;
}

/**
 * The fault of a token outside its lifetime, extended by {@link CLOCK_SKEW_SECONDS}; `undefined`: the token is valid now. A token
 * with `exp` 0 or without `exp` never expires.
 * @param nowSeconds whole Unix seconds
 */
export function checkTime(token: Pick<ParsedToken, 'notBefore' | 'expires'>, nowSeconds: number): TokenFault | undefined {
  if (nowSeconds + CLOCK_SKEW_SECONDS < token.notBefore) {
    return 'Jwt not yet valid';
  }
  return token.expires !== 0 && nowSeconds > token.expires + CLOCK_SKEW_SECONDS ? 'Jwt is expired' : undefined;
}

/** The first whole second in which {@link checkTime} finds a token expired that has `exp`. */
export function refusedFrom({ expires }: Pick<ParsedToken, 'expires'>): number {
  return Math.ceil(expires) + CLOCK_SKEW_SECONDS + 1;
}

/**
 * The form in which audiences are compared: without one leading `http://` or `https://` and one trailing `/`. Case-sensitive.
 * @example canonicalAudience('https://svc.example/') // 'svc.example'
 */
export function canonicalAudience(audience: string): string {
  let canonical = audience;
  if (canonical.startsWith('https://')) {
    canonical = canonical.slice('https://'.length);
  } else if (canonical.startsWith('http://')) {
    canonical = canonical.slice('http://'.length);
  }
  return canonical.endsWith('/') ? canonical.slice(0, -1) : canonical;
}

/**
 * The fault of a token for another audience; `undefined`: the audience is allowed.
 * @param allowed canonical audiences of the rule; empty: every audience is allowed
 */
export function checkAudience(token: ParsedToken, allowed: ReadonlySet<string>): TokenFault | undefined {
  if (allowed.size === 0 || token.audiences.some((audience) => allowed.has(canonicalAudience(audience)))) {
    return undefined;
  }
  return AUDIENCE_NOT_ALLOWED;
}
