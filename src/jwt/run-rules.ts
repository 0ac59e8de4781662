/*
 * Runs the JWT rules of an authenticator on a request. By default the rules are alternatives: the first that accepts its tokens
 * wins. Where a rule requires its token, every rule must accept the tokens that it finds.
 */
import type { Provenance } from '../policy/model/program.ts';
import { checkIssuer } from './check-claims.ts';
import { type ExtractedToken, extractTokens } from './extract-tokens.ts';
import { type FoundTokens, type LocationGroup, type RuleIndex, rulesFor } from './rule-index.ts';
import { MISSING, type TokenFault, UNKNOWN_ISSUER } from './token-fault.ts';
import type { TokenRecord, VerifiedToken } from './token-record.ts';
import {
  applyEffects,
  checkToken,
  expiringWith,
  type RequestAtHand,
  type RuleFault,
  removeOutputs,
  runOnTokens,
  type TokenRule,
} from './token-rule.ts';

/** Why the rules refuse a request, and the rule that reports it. */
export interface RefusedToken {
  readonly kind: 'fault';
  readonly fault: TokenFault;
  readonly rule: Provenance;
}

/** `undefined`: the request has no token, and needs none. */
export type RulesResult = VerifiedToken | RefusedToken | undefined;

/** One request on its way through the rules. */
export interface RulesRun extends RequestAtHand {
  readonly index: RuleIndex;
}

interface Fault {
  readonly fault: TokenFault;
  readonly rule: TokenRule;
}

/** A rule, and the token that it must check. */
interface Attempt {
  readonly rule: TokenRule;
  readonly token: ExtractedToken;
  readonly record: TokenRecord;
}

/** Runs rules of which none requires its token. @param found the tokens of the request */
export function runAlternatives(run: RulesRun, found: readonly FoundTokens[]): RulesResult {
  const [only] = found;
  if (only === undefined) return undefined;
  // Nearly every request has one token, and it is accepted. Otherwise the rules run again for the fault; their results are known then.
  const accepted = found.length === 1 && only.tokens.length === 1 ? acceptedToken(run, only) : undefined;
  if (accepted !== undefined) return accepted;
  return found.every(({ tokens }) => tokens.length === 1) ? runOnSingleTokens(run, found) : runInOrder(run, found);
}

function acceptedToken({ known, request, nowSeconds }: RulesRun, { group, tokens }: FoundTokens): VerifiedToken | undefined {
  const token = tokens[0] as ExtractedToken;
  const record = known.find(token.text);
  if (typeof record === 'string') return undefined;
  for (const rule of rulesFor(group, record.issuer)) {
    const result = checkToken(rule, record, known, nowSeconds);
    if (typeof result === 'string') continue;
    applyEffects(result, token, request);
    return result;
  }
  return undefined;
}

/**
 * Runs the rules where none finds more than one token. None edits the request before another runs, so only the rules for the
 * issuer of their token need to run: to all others it is unknown.
 */
function runOnSingleTokens({ known, request, nowSeconds }: RulesRun, found: readonly FoundTokens[]): RulesResult {
  const attempts: Attempt[] = [];
  const faults: Fault[] = [];
  for (const { group, tokens } of found) {
    const token = tokens[0] as ExtractedToken;
    const record = known.find(token.text);
    const first = group.rules[0] as TokenRule;
    if (typeof record === 'string') {
      // All rules of the group have this fault; of the others between the first and the last none is ever reported.
      faults.push({ fault: record, rule: first }, { fault: record, rule: group.rules.at(-1) as TokenRule });
      continue;
    }
    for (const rule of rulesFor(group, record.issuer)) attempts.push({ rule, token, record });
    if (checkIssuer(record, first.provider.issuer) !== undefined) faults.push({ fault: UNKNOWN_ISSUER, rule: first });
  }
  if (found.length > 1) attempts.sort((a, b) => a.rule.index - b.rule.index);
  for (const { rule, token, record } of attempts) {
    const result = checkToken(rule, record, known, nowSeconds);
    if (typeof result !== 'string') {
      applyEffects(result, token, request);
      return result;
    }
    faults.push({ fault: result, rule });
  }
  return reported(faults.sort((a, b) => a.rule.index - b.rule.index));
}

/**
 * Runs the rules one after the other. If none accepts, but some removed tokens from the request before they found one that is
 * invalid, all rules run again on what is left: tokens of several issuers may then each match their rule.
 */
function runInOrder(run: RulesRun, found: readonly FoundTokens[]): RulesResult {
  const { index, request } = run;
  const tokensOf = new Map<LocationGroup, readonly ExtractedToken[]>(found.map(({ group, tokens }) => [group, tokens]));
  const faults: Fault[] = [];
  let changed = false;
  for (const rule of index.rules) {
    if (changed) removeOutputs(rule, request);
    const tokens: readonly ExtractedToken[] | undefined = changed
      ? extractTokens(rule.provider, request)
      : tokensOf.get(index.groupOf.get(rule) as LocationGroup);
    const outcome: VerifiedToken | RuleFault | undefined = tokens === undefined ? undefined : runOnTokens(rule, tokens, run);
    if (outcome?.kind === 'verified') return outcome;
    if (outcome === undefined) continue;
    faults.push({ fault: outcome.fault, rule });
    changed ||= outcome.changed;
  }
  const second = changed && index.rules.length > 1 ? runAll(run) : undefined;
  if (second === undefined) return reported(faults);
  return second.kind === 'verified' ? second : lastSpecific(faults, second);
}

/**
 * Runs rules of which some require their token. They are no alternatives: every required token must be present, and every token
 * that is present must be valid. The identity is that of the last rule that found a token.
 * @see istio.io/api security/v1beta1 JWTRule.presence; envoy jwt_authn `requires_all`
 */
export function runAll(run: RulesRun): RulesResult {
  const { index, request } = run;
  let verified: VerifiedToken | undefined;
  for (const rule of index.rules) {
    removeOutputs(rule, request);
    const outcome = runOnTokens(rule, extractTokens(rule.provider, request), run);
    if (outcome?.kind === 'fault') return refused({ fault: outcome.fault, rule });
    if (outcome === undefined && rule.provider.required) return refused({ fault: MISSING, rule });
    if (outcome !== undefined) verified = expiringWith(outcome, verified);
  }
  return verified;
}

/** The fault that is reported: the first, unless it is only that of an unknown issuer. @param faults in the order of the rules */
function reported(faults: readonly Fault[]): RulesResult {
  const [first] = faults;
  if (first === undefined) return undefined;
  return refused(first.fault === UNKNOWN_ISSUER ? (faults.findLast(isSpecific) ?? first) : first);
}

/** The fault that is reported when the second run of the rules failed with `second`. */
function lastSpecific(faults: readonly Fault[], second: RefusedToken): RefusedToken {
  if (second.fault !== UNKNOWN_ISSUER) return second;
  return refused(faults.findLast(isSpecific) ?? (faults[0] as Fault));
}

function isSpecific({ fault }: Fault): boolean {
  return fault !== UNKNOWN_ISSUER;
}

function refused({ fault, rule }: Fault): RefusedToken {
  return { kind: 'fault', fault, rule: rule.provider.source };
}
