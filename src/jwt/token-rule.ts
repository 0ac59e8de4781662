/*
 * One JWT rule: checks a token, and edits a request for every token that it accepts.
 */

import { removeHeader, removeHeadersWhere } from '../http/header-list.ts';
import { addHeader } from '../http/normalize/copy-headers.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { createTokenNotes } from '../policy/token-notes.ts';
import { canonicalAudience, checkAudience, checkIssuer, checkTime } from './check-claims.ts';
import { claimHeader } from './claim-header.ts';
import type { ExtractedToken } from './extract-tokens.ts';
import type { ImportedKey } from './import-key.ts';
import type { KnownTokens } from './known-tokens.ts';
import type { ParsedToken } from './parse-token.ts';
import { withoutQueryParameter } from './query.ts';
import { splitSpaceDelimited } from './space-delimited.ts';
import { NO_MATCHING_KEY, type TokenFault, VERIFICATION_FAILS } from './token-fault.ts';
import type { TokenRecord, VerifiedToken } from './token-record.ts';
import type { TokenRequest } from './token-request.ts';
import { verifiedBytes } from './token-size.ts';
import { verifySignature } from './verify-signature.ts';

/** A JWT rule with its keys. */
export interface TokenRule {
  /** Position among the rules of its authenticator. */
  readonly index: number;
  readonly provider: JwtProvider;
  /** Lower-case names of the headers that its tokens set. */
  readonly outputs: ReadonlySet<string>;
  /** In canonical form, see `canonicalAudience`. */
  readonly audiences: ReadonlySet<string>;
  /** Undefined: there are no keys, and no token verifies. */
  readonly keys: readonly ImportedKey[] | undefined;
}

/** A request, and what is known of its tokens. */
export interface RequestAtHand {
  readonly request: TokenRequest;
  readonly known: KnownTokens;
  /** Whole Unix seconds. */
  readonly nowSeconds: number;
}

/** `changed`: tokens before the refused one were accepted and have already edited the request. */
export interface RuleFault {
  readonly kind: 'fault';
  readonly fault: TokenFault;
  readonly changed: boolean;
}

/** The rule of `provider`; with `keys` empty or undefined it refuses every token. */
export function createTokenRule(provider: JwtProvider, index: number, keys: readonly ImportedKey[] | undefined): TokenRule {
  return {
    index,
    provider,
    outputs: outputsOf(provider),
    audiences: new Set(provider.audiences.map(canonicalAudience)),
    keys: keys === undefined || keys.length === 0 ? undefined : keys,
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
 * Verifies every token in `tokens`, the last one found first, and edits the request as each is accepted. All must be valid:
 * otherwise the result is the first fault, and edits made before it stay. The result is the token that was found first; `undefined`
 * when there is no token.
 */
export function runOnTokens(
  rule: TokenRule,
  tokens: readonly ExtractedToken[],
  { request, known, nowSeconds }: RequestAtHand,
): VerifiedToken | RuleFault | undefined {
  let verified: VerifiedToken | undefined;
  for (let index = tokens.length - 1; index >= 0; index -= 1) {
    const token = tokens[index] as ExtractedToken;
    const record = known.find(token.text);
    const result = typeof record === 'string' ? record : checkToken(rule, record, known, nowSeconds);
    if (typeof result === 'string') {
      return { kind: 'fault', fault: result, changed: verified !== undefined };
    }
    verified = expiringWith(result, verified);
    applyEffects(result, token, request);
  }
  return verified;
}

/** `token`, or a copy that expires with `other` if that is earlier: a request needs both. */
export function expiringWith(token: VerifiedToken, other: VerifiedToken | undefined): VerifiedToken {
  if (other === undefined || other.expires === 0 || (token.expires !== 0 && token.expires <= other.expires)) return token;
  return { ...token, expires: other.expires };
}

/** What `rule` says of a token. Only what has not been examined before costs a signature verification. */
export function checkToken(rule: TokenRule, record: TokenRecord, known: KnownTokens, nowSeconds: number): VerifiedToken | TokenFault {
  const fault = checkIssuer(record, rule.provider.issuer) ?? checkTime(record, nowSeconds);
  if (fault !== undefined) return fault;
  const result = record.resultOf(rule.index) ?? examineNew(rule, record, known);
  const isKeyUnknown = result === NO_MATCHING_KEY || (rule.keys === undefined && result === VERIFICATION_FAILS);
  if (isKeyUnknown) known.lacksKey(rule.provider.keySet, record);
  return result;
}

function examineNew(rule: TokenRule, record: TokenRecord, known: KnownTokens): VerifiedToken | TokenFault {
  const token = record.parsed();
  const examined = examine(rule, record, token, known);
  if (typeof examined === 'string') known.keep(record, rule.index, examined, 0);
  else {
    const { claims, principal, outputHeaders } = examined;
    known.keep(record, rule.index, examined, verifiedBytes(claims, token.jsonBytes, principal, outputHeaders));
  }
  return examined;
}

/** The checks that do not depend on the time. */
function examine(
  { provider, audiences, keys }: TokenRule,
  record: TokenRecord,
  token: ParsedToken,
  known: KnownTokens,
): VerifiedToken | TokenFault {
  const fault = checkAudience(token, audiences);
  if (fault !== undefined) return fault;
  if (keys === undefined) return VERIFICATION_FAILS;
  known.onVerification();
  return verifySignature(token, keys) ?? describeToken(record, token, provider);
}

function describeToken(record: TokenRecord, token: ParsedToken, provider: JwtProvider): VerifiedToken {
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
    text: record.text,
    provider,
    claims,
    notes: createTokenNotes(claims, record),
    principal: `${token.issuer}/${token.subject}`,
    notBefore: token.notBefore,
    expires: token.expires,
    outputHeaders,
  };
}

/** Edits the request as the rule of an accepted token demands. */
export function applyEffects(verified: VerifiedToken, token: ExtractedToken, request: TokenRequest): void {
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
