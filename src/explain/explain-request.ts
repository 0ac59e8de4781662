/*
 * Explains why a request gets its verdict. Nothing is decided here: the verdict comes from the filter chain, the result of each
 * JWT rule from the authenticator, the result of each rule from the evaluator's trace.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { hasPeerConditions } from '../filters/peer-conditions.ts';
import type { RawRequest } from '../http/heads.ts';
import { identifyPeer, trustedProxyTest } from '../http/normalize/identify-peer.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import type { Decision } from '../policy/decide/decision.ts';
import type { JwtProvider, Program } from '../policy/model/program.ts';
import { decidedBy } from './decided-by.ts';
import { type AssumedResponse, createExplainedChain, type Enforced, evaluateToEnd, type FinalVerdict } from './evaluate-to-end.ts';
import { explainJwtRule } from './explain-jwt-rule.ts';
import { explainRules } from './explain-rules.ts';
import type { DryRunOutcome, ExplainedVerdict, Explanation, JwtRuleExplanation } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';

/** How to explain. */
export interface ExplainOptions {
  /** Assumed response of the external authorizers of CUSTOM policies, which are never called; absent: allow. */
  readonly authorizer?: AssumedResponse;
}

/** An explanation with the message that results from the verdict, which may contain secrets and is for comparison only. */
export interface ExplainedMessages {
  readonly explanation: Explanation;
  /** Absent: the codec rejected the request before any verdict. */
  readonly final?: FinalVerdict;
}

/**
 * The verdict on `sent` with its reasons. Costs as much as evaluating every rule, not only up to the first match.
 * @param nowSeconds whole Unix seconds, for the validity of tokens
 */
export function explainRequest(enforced: Enforced, sent: RawRequest, nowSeconds: number, options: ExplainOptions = {}): Explanation {
  return explainMessages(enforced, sent, nowSeconds, options).explanation;
}

/** As {@link explainRequest}, with the request head that the application gets, or the agent's reply. */
export function explainMessages(
  enforced: Enforced,
  sent: RawRequest,
  nowSeconds: number,
  { authorizer = 'allow' }: ExplainOptions = {},
): ExplainedMessages {
  const { program } = enforced;
  const { final, providers } = evaluateToEnd(createExplainedChain(enforced), sent, nowSeconds, authorizer);
  const request = withPeer(program, sent);
  const deniedByCustom = final.log.outcome === 'deny' && final.log.decision === undefined && final.log.jwtRule === undefined;
  const authentication = deniedByCustom || request === undefined ? [] : explainTokens(enforced, request, nowSeconds);
  const rules = request === undefined ? [] : explainRules(enforced, { request, nowSeconds, final, deniedByCustom });
  const explanation: Explanation = {
    verdict: { ...verdictOf(final), ...peerOf(final, program) },
    decidedBy: decidedBy(program, { log: final.log, rules, authentication, deniedByCustom }),
    dryRun: dryRunOutcomes(final.log.decision),
    authentication,
    rules,
    ...unknownVerdict(enforced, { final, authentication }),
    caveats: [
      ...providers.map((name) => `provider ${name} was not called; its response is assumed to be ${authorizer}`),
      ...keyCaveats(enforced, authentication),
    ],
  };
  return { explanation, final };
}

/** The request with the peer that a trusted proxy named; undefined: the proxy's header is invalid, and no rule is evaluated. */
export function withPeer({ trustedProxies }: Program, sent: RawRequest): RawRequest | undefined {
  const isTrusted = trustedProxyTest(trustedProxies);
  const identified = isTrusted === undefined ? ({ kind: 'ok', raw: sent } as const) : identifyPeer(sent, isTrusted);
  return identified.kind === 'ok' ? identified.raw : undefined;
}

function verdictOf(verdict: FinalVerdict): ExplainedVerdict {
  const { outcome, details, principal } = verdict.log;
  return {
    outcome,
    ...(verdict.kind === 'reply' ? { status: verdict.status } : {}),
    ...(details === '' ? {} : { details }),
    ...(principal === '' ? {} : { principal }),
  };
}

/** What is known of the peer. A request that was refused before any policy has no identity. */
function peerOf({ log }: FinalVerdict, program: Program): Pick<ExplainedVerdict, 'identity' | 'peer'> {
  const { peer } = log;
  if (peer === undefined) return hasPeerConditions(program) ? { identity: 'none' } : {};
  return { identity: peer.grade, ...(peer.uri === '' ? {} : { peer: peer.uri }) };
}

function explainTokens({ program, ...keys }: Enforced, raw: RawRequest, nowSeconds: number): readonly JwtRuleExplanation[] {
  const preparation = prepareRequest(raw, program.pathNormalization);
  if (preparation.kind === 'reply') return [];
  return program.providers.map((provider) => explainJwtRule(provider, { ...keys, request: preparation.prepared, nowSeconds }));
}

function dryRunOutcomes(decision: Decision | undefined): readonly DryRunOutcome[] {
  if (decision === undefined) return [];
  const outcome = (action: DryRunOutcome['action'], result: Decision['dryRunDeny']): readonly DryRunOutcome[] => {
    if (result === undefined) return [];
    return [
      { action, outcome: result.allowed ? 'allow' : 'deny', ...(result.rule === undefined ? {} : { rule: ruleRef(result.rule.source) }) },
    ];
  };
  return [...outcome('DENY', decision.dryRunDeny), ...outcome('ALLOW', decision.dryRunAllow)];
}

/** A 401 because keys are missing says nothing about an agent that has them. */
function unknownVerdict(
  { program, keySets, isPublished }: Enforced,
  { final, authentication }: { readonly final: FinalVerdict; readonly authentication: readonly JwtRuleExplanation[] },
): Pick<Explanation, 'unknown'> {
  if (final.log.outcome !== 'unauthenticated' || isPublished === true) return {};
  const missing = program.providers.filter((provider, index) => isKeyUnknown(provider, keySets, authentication[index]));
  if (missing.length === 0) return {};
  const issuers = [...new Set(missing.map(({ issuer }) => (issuer === '' ? 'any issuer' : issuer)))];
  return { unknown: `give --jwks: the keys of ${issuers.join(', ')} are unknown here, so the token cannot be verified` };
}

function isKeyUnknown(
  { keySet }: JwtProvider,
  keySets: Readonly<Record<string, KeySet>>,
  explained: JwtRuleExplanation | undefined,
): boolean {
  return !Object.hasOwn(keySets, keySet) && explained?.outcome === 'refused' && explained.fault === 'Jwt verification fails';
}

/** A token that is refused because its keys are unknown here may still be valid. */
function keyCaveats({ program, keySets, isPublished }: Enforced, authentication: readonly JwtRuleExplanation[]): readonly string[] {
  if (isPublished === true) return [];
  return program.providers.flatMap((provider, index) => {
    return isKeyUnknown(provider, keySets, authentication[index])
      ? [`the keys of ${ruleText(ruleRef(provider.source))} are unknown here; an agent that has them may accept the token`]
      : [];
  });
}
