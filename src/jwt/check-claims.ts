/*
 * The checks on a parsed token that need no key: issuer, time and audience, in the reference proxy's order. In: a parsed
 * token and what the rule asks for. Out: nothing or a fault. Run before the signature, and again on every use of a
 * cached token.
 */
import type { ParsedToken } from './parse-token.ts';
import { AUDIENCE_NOT_ALLOWED, type TokenFault, UNKNOWN_ISSUER } from './status.ts';

/** How far clocks may be apart, in seconds, on both ends of a token's life. */
export const CLOCK_SKEW_SECONDS = 60;

/**
 * The fault of a token that another issuer made.
 * @param issuer the rule's issuer; `''`: any
 */
export function checkIssuer(token: ParsedToken, issuer: string): TokenFault | undefined {
  return issuer === '' || token.issuer === issuer ? undefined : UNKNOWN_ISSUER;
}

/**
 * The fault of a token outside its life, with {@link CLOCK_SKEW_SECONDS} of grace. `exp` 0 or absent: never expires.
 * @param nowSeconds whole Unix seconds
 */
export function checkTime(token: Pick<ParsedToken, 'notBefore' | 'expires'>, nowSeconds: number): TokenFault | undefined {
  if (nowSeconds + CLOCK_SKEW_SECONDS < token.notBefore) {
    return 'Jwt not yet valid';
  }
  return token.expires !== 0 && nowSeconds > token.expires + CLOCK_SKEW_SECONDS ? 'Jwt is expired' : undefined;
}

/**
 * The form in which audiences are compared: without one leading `http://` or `https://` and one trailing `/`. Case counts.
 * @example canonicalAudience('https://svc.example/') // 'svc.example'
 */
export function canonicalAudience(audience: string): string {
  let text = audience;
  if (text.startsWith('https://')) {
    text = text.slice('https://'.length);
  } else if (text.startsWith('http://')) {
    text = text.slice('http://'.length);
  }
  return text.endsWith('/') ? text.slice(0, -1) : text;
}

/**
 * The fault of a token for somebody else.
 * @param allowed canonical audiences of the rule; empty: any token will do
 */
export function checkAudience(token: ParsedToken, allowed: ReadonlySet<string>): TokenFault | undefined {
  if (allowed.size === 0 || token.audiences.some((audience) => allowed.has(canonicalAudience(audience)))) {
    return undefined;
  }
  return AUDIENCE_NOT_ALLOWED;
}
