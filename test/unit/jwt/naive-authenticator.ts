/*
 * The rules of an authenticator without index and without cache: every rule extracts, parses and verifies every token. The oracle of
 * the property test. Not a test itself.
 */
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { canonicalAudience, checkAudience, checkIssuer, checkTime } from '../../../src/jwt/check-claims.ts';
import { claimHeader } from '../../../src/jwt/claim-header.ts';
import { extractTokens } from '../../../src/jwt/extract-tokens.ts';
import { importKeySet } from '../../../src/jwt/import-key.ts';
import { parseToken } from '../../../src/jwt/parse-token.ts';
import { withoutQueryParameter } from '../../../src/jwt/query.ts';
import type { TokenRequest } from '../../../src/jwt/token-request.ts';
import { verifySignature } from '../../../src/jwt/verify-signature.ts';
import type { JwtProvider } from '../../../src/policy/model/program.ts';
import { doSteps } from '../../../src/steps.ts';

/** What a request gets: its principal, or the fault with the rule that reports it, or neither. */
export type NaiveResult =
  | { readonly principal: string; readonly rule: number }
  | { readonly fault: string; readonly rule: number }
  | { readonly anonymous: true };

type Outcome = { readonly principal: string } | { readonly fault: string; readonly changed: boolean } | undefined;

const UNKNOWN = 'Jwt issuer is not configured';

/** Runs `rules` on `request`, and edits it. Rules report themselves by their position, which is also in `source.rule`. */
export function authenticateNaively(
  rules: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
  request: TokenRequest,
  now: number,
): NaiveResult {
  for (const rule of rules) removeOutputs(rule, request);
  if (rules.some(({ required }) => required)) return runEvery(rules, keySets, request, now);
  const faults: { readonly fault: string; readonly rule: number }[] = [];
  let changed = false;
  for (const [at, rule] of rules.entries()) {
    if (changed) removeOutputs(rule, request);
    const outcome = runRule(rule, keySets, request, now);
    if (outcome === undefined) continue;
    if ('principal' in outcome) return { ...outcome, rule: at };
    faults.push({ fault: outcome.fault, rule: at });
    changed ||= outcome.changed;
  }
  const [first] = faults;
  if (first === undefined) return { anonymous: true };
  const second = changed && rules.length > 1 ? runEvery(rules, keySets, request, now) : undefined;
  if (second !== undefined && 'principal' in second) return second;
  if (second !== undefined && 'fault' in second) return lastSpecific([...faults, second]) ?? first;
  return first.fault === UNKNOWN ? (lastSpecific(faults) ?? first) : first;
}

function lastSpecific<T extends { readonly fault: string }>(faults: readonly T[]): T | undefined {
  return faults.findLast(({ fault }) => fault !== UNKNOWN);
}

function runEvery(
  rules: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
  request: TokenRequest,
  now: number,
): NaiveResult {
  let last: NaiveResult = { anonymous: true };
  for (const [at, rule] of rules.entries()) {
    removeOutputs(rule, request);
    const outcome = runRule(rule, keySets, request, now);
    if (outcome !== undefined && 'fault' in outcome) return { fault: outcome.fault, rule: at };
    if (outcome === undefined && rule.required) return { fault: 'Jwt is missing', rule: at };
    if (outcome !== undefined) last = { ...outcome, rule: at };
  }
  return last;
}

function runRule(rule: JwtProvider, keySets: Readonly<Record<string, KeySet>>, request: TokenRequest, now: number): Outcome {
  let verified: { readonly principal: string } | undefined;
  for (const { text, place, name } of extractTokens(rule, request).toReversed()) {
    const token = parseToken(text);
    if (typeof token === 'string') return { fault: token, changed: verified !== undefined };
    const keys = keySets[rule.keySet] === undefined ? [] : doSteps(importKeySet(keySets[rule.keySet] as KeySet));
    const fault =
      checkIssuer(token, rule.issuer) ??
      checkTime(token, now) ??
      checkAudience(token, new Set(rule.audiences.map(canonicalAudience))) ??
      (keys.length === 0 ? 'Jwt verification fails' : verifySignature(token, keys));
    if (fault !== undefined) return { fault, changed: verified !== undefined };
    verified = { principal: `${token.issuer}/${token.subject}` };
    if (rule.payloadHeader !== '') request.headers.push(rule.payloadHeader, token.payload);
    for (const { header, claim } of rule.claimHeaders) {
      const value = claimHeader(token.claims, claim);
      if (value !== undefined) request.headers.push(header, value);
    }
    if (rule.forward) continue;
    if (place === 'header') removeWhere(request, (one) => one === name);
    if (place === 'parameter') request.target = withoutQueryParameter(request.target, name);
  }
  return verified;
}

function removeOutputs({ payloadHeader, claimHeaders }: JwtProvider, request: TokenRequest): void {
  removeWhere(request, (name) => name !== '' && (name === payloadHeader || claimHeaders.some(({ header }) => header === name)));
}

function removeWhere(request: TokenRequest, isRemoved: (name: string) => boolean): void {
  const pairs = Array.from({ length: request.headers.length / 2 }, (_, at) => request.headers.slice(2 * at, 2 * at + 2));
  request.headers = pairs.filter(([name = '']) => !isRemoved(name)).flat();
}
