/*
 * Runs one JWT rule: extracts its tokens from a request, verifies each, and edits the request for every token accepted.
 */

import { type HeaderList, removeHeader, removeHeadersWhere } from '../http/header-list.ts';
import { addHeader } from '../http/normalize/copy-headers.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { createTokenNotes, type TokenNotes } from '../policy/token-notes.ts';
import { canonicalAudience, checkAudience, checkIssuer, checkTime } from './check-claims.ts';
import { claimHeader } from './claim-header.ts';
import { type ExtractedToken, extractTokens } from './extract-tokens.ts';
import type { ImportedKey } from './import-key.ts';
import type { JsonObject } from './parse-json.ts';
import { type ParsedToken, parseToken } from './parse-token.ts';
import { withoutQueryParameter } from './query.ts';
import { splitSpaceDelimited } from './space-delimited.ts';
import { TokenCache, type TokenCacheLimits } from './token-cache.ts';
import { type TokenFault, VERIFICATION_FAILS } from './token-fault.ts';
import type { TokenRequest } from './token-request.ts';
import { verifySignature } from './verify-signature.ts';

/** A token that passed every check of one rule. Shared by the requests that carry it; immutable. */
export interface VerifiedToken {
  readonly kind: 'verified';
  readonly text: string;
  readonly provider: JwtProvider;
  /** The payload as policies see it: space-delimited claims are arrays. */
  readonly claims: JsonObject;
  /** Results that the evaluator caches for these claims. */
  readonly notes: TokenNotes;
  /** `iss/sub`; either may be empty. */
  readonly principal: string;
  readonly notBefore: number;
  readonly expires: number;
  /** Headers that the upstream gets for this token. */
  readonly outputHeaders: HeaderList;
}

/** A JWT rule with its keys and its cache. */
export interface TokenRule {
  readonly provider: JwtProvider;
  /** Lower-case names of the headers that its tokens set. */
  readonly outputs: ReadonlySet<string>;
  /** In canonical form, see `canonicalAudience`. */
  readonly audiences: ReadonlySet<string>;
  /** Undefined: there are no keys, and no token verifies. */
  readonly keys: readonly ImportedKey[] | undefined;
  readonly cache: TokenCache<VerifiedToken>;
}

/** `changed`: tokens before the refused one were accepted and have already edited the request. */
export interface RuleFault {
  readonly kind: 'fault';
  readonly fault: TokenFault;
  readonly changed: boolean;
}

/** The rule of `provider`; with `keys` empty or undefined it refuses every token. */
export function createTokenRule(
  provider: JwtProvider,
  keys: readonly ImportedKey[] | undefined,
  limits: TokenCacheLimits | undefined,
): TokenRule {
  return {
    provider,
    outputs: outputsOf(provider),
    audiences: new Set(provider.audiences.map(canonicalAudience)),
    keys: keys === undefined || keys.length === 0 ? undefined : keys,
    cache: new TokenCache(limits),
  };
}

/** Lower-case names of the headers that tokens of `provider` set. */
export function outputsOf({ payloadHeader, claimHeaders }: JwtProvider): ReadonlySet<string> {
  const names = [payloadHeader, ...claimHeaders.map(({ header }) => header)];
  return new Set(names.filter((name) => name !== '').map((name) => name.toLowerCase()));
}

/** Removes output headers of `rule` that earlier rules wrote. Envoy does so before a rule looks for tokens. */
export function removeOutputs({ outputs }: TokenRule, request: TokenRequest): void {
  if (outputs.size > 0) removeHeadersWhere(request.headers, (name) => outputs.has(name));
}

/**
 * Verifies every token of `rule` in `request`, the last one found first, and edits the request as each is accepted. All must be
 * valid: otherwise the result is the first fault, and edits made before it stay. The result is the token that was found first;
 * `undefined` when there is no token.
 */
export function runTokenRule(rule: TokenRule, request: TokenRequest, nowSeconds: number): VerifiedToken | RuleFault | undefined {
  const tokens = extractTokens(rule.provider, request);
  let verified: VerifiedToken | undefined;
  for (let index = tokens.length - 1; index >= 0; index -= 1) {
    const token = tokens[index] as ExtractedToken;
    const result = verifyToken(rule, token.text, nowSeconds);
    if (typeof result === 'string') {
      return { kind: 'fault', fault: result, changed: verified !== undefined };
    }
    verified = result;
    applyEffects(verified, token, request);
  }
  return verified;
}

function verifyToken(rule: TokenRule, text: string, nowSeconds: number): VerifiedToken | TokenFault {
  const known = rule.cache.get(text);
  if (known !== undefined) {
    // Issuer and audience still match, since the cache belongs to this rule; the time has changed.
    return checkTime(known, nowSeconds) ?? known;
  }
  const token = parseToken(text);
  if (typeof token === 'string') {
    return token;
  }
  const fault =
    checkIssuer(token, rule.provider.issuer) ??
    checkTime(token, nowSeconds) ??
    checkAudience(token, rule.audiences) ??
    (rule.keys === undefined ? VERIFICATION_FAILS : verifySignature(token, rule.keys));
  if (fault !== undefined) {
    return fault;
  }
  const verified = describeToken(text, token, rule.provider);
  rule.cache.add(verified);
  return verified;
}

function describeToken(text: string, token: ParsedToken, provider: JwtProvider): VerifiedToken {
  const outputHeaders: string[] = [];
  if (provider.payloadHeader !== '') {
    outputHeaders.push(provider.payloadHeader, token.payload);
  }
  for (const { header, claim } of provider.claimHeaders) {
    const value = claimHeader(token.claims, claim);
    if (value !== undefined) {
      outputHeaders.push(header.toLowerCase(), value);
    }
  }
  const claims = splitSpaceDelimited(token.claims, provider.spaceDelimitedClaims);
  return {
    kind: 'verified',
    // A copy: the token is a slice of the request head, which the cache must not keep in memory.
    text: Buffer.from(text, 'latin1').toString('latin1'),
    provider,
    claims,
    notes: createTokenNotes(claims),
    principal: `${token.issuer}/${token.subject}`,
    notBefore: token.notBefore,
    expires: token.expires,
    outputHeaders,
  };
}

function applyEffects(verified: VerifiedToken, token: ExtractedToken, request: TokenRequest): void {
  const { headers } = request;
  const { outputHeaders } = verified;
  for (let at = 0; at < outputHeaders.length; at += 2) addHeader(headers, outputHeaders[at] as string, outputHeaders[at + 1] as string);
  if (verified.provider.forward) {
    return;
  }
  switch (token.place) {
    case 'header':
      removeHeader(headers, token.name);
      if (isPseudoHeader(token.name)) request.removePseudoHeader(token.name);
      break;
    case 'parameter':
      request.target = withoutQueryParameter(request.target, token.name);
      request.isRewritten = true;
      break;
    case 'cookie':
      // Envoy does not remove tokens from cookies.
      break;
  }
}
