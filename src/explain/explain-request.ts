/*
 * Why a request gets the verdict it gets. In: a program with its key sets, a request as a codec hands it over, and the time.
 * Out: the judge's verdict, what decided, and how every rule fared, nearest miss first. Nothing is decided here: the judge,
 * the authenticator and the evaluator's trace are asked. Called by the commands `explain`, `test` and `diff`.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { CHECK_ALLOWED, type CheckResponse, checkDenied } from '../filters/check-response.ts';
import { createFilterChain } from '../filters/filter-chain.ts';
import { factsOf } from '../filters/request-facts.ts';
import type { RawRequest } from '../http/heads.ts';
import { identifyPeer, trustedProxyTest } from '../http/normalize/identify-peer.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import { type Authentication, createAuthenticator } from '../jwt/authenticator.ts';
import type { ClauseMiss, Decision, RuleTrace } from '../policy/decide/decision.ts';
import { createEvaluator } from '../policy/decide/evaluator.ts';
import type { Program } from '../policy/model/program.ts';
import { decidedBy } from './decided-by.ts';
import type { FinalVerdict } from './expected-message.ts';
import { explainTokenRule } from './explain-tokens.ts';
import type { DryRunOutcome, ExplainedVerdict, Explanation, JwtRuleExplanation, RuleExplanation } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';
import { shownValue } from './secrets.ts';

/** What is explained under: as in a bundle. */
export interface Enforced {
  readonly program: Program;
  /** By `JwtProvider.keySet`; one that is missing refuses every token of its rule. */
  readonly keySets: Readonly<Record<string, KeySet>>;
}

export interface ExplainOptions {
  /** What external authorizers of CUSTOM policies are taken to answer; absent: allow. Nothing is ever asked. */
  readonly authorizer?: 'allow' | 'deny';
}

/** An explanation, and the messages that come of the verdict, which may hold secrets and are for comparing only. */
export interface Explained {
  readonly explanation: Explanation;
  /** Absent: the codec refused the request before any verdict. */
  readonly final?: FinalVerdict;
}

const DENY_ANSWER: CheckResponse = checkDenied(403, '');

/**
 * The verdict on `sent` with its reasons. Cost is that of every rule, not of the first match.
 * @param nowSeconds whole Unix seconds, for the life of tokens
 */
export function explainRequest(enforced: Enforced, sent: RawRequest, nowSeconds: number, options: ExplainOptions = {}): Explanation {
  return explainMessages(enforced, sent, nowSeconds, options).explanation;
}

/** As {@link explainRequest}, with the head that the application gets, or the reply. */
export function explainMessages(enforced: Enforced, sent: RawRequest, nowSeconds: number, options: ExplainOptions = {}): Explained {
  const { program, keySets } = enforced;
  const verdicts = judgeToEnd(enforced, sent, nowSeconds, options);
  const request = withPeer(program, sent);
  const { final } = verdicts;
  const refusedByCustom = final.log.outcome === 'deny' && final.log.decision === undefined && final.log.jwtRule === undefined;
  const authentication = refusedByCustom || request === undefined ? [] : explainTokens(enforced, request, nowSeconds);
  const rules = request === undefined ? [] : explainRules(enforced, { request, nowSeconds, final, refusedByCustom });
  const explanation: Explanation = {
    verdict: verdictOf(final),
    decidedBy: decidedBy(program, { log: final.log, rules, authentication, refusedByCustom }),
    dryRun: dryRunOf(final.log.decision),
    authentication,
    rules,
    caveats: [...verdicts.caveats, ...keyCaveats(program, keySets, authentication)],
  };
  return { explanation, final };
}

/** The request with the peer that a trusted proxy named; `undefined`: what it said cannot be read, and no rule is ever asked. */
function withPeer({ trustedProxies }: Program, sent: RawRequest): RawRequest | undefined {
  const isTrusted = trustedProxyTest(trustedProxies);
  const identified = isTrusted === undefined ? ({ kind: 'ok', raw: sent } as const) : identifyPeer(sent, isTrusted);
  return identified.kind === 'ok' ? identified.raw : undefined;
}

/** The judge's verdict, with external authorizers answered for. @throws what a bug in the judge throws */
function judgeToEnd(
  { program, keySets }: Enforced,
  request: RawRequest,
  nowSeconds: number,
  { authorizer = 'allow' }: ExplainOptions,
): { readonly final: FinalVerdict; readonly caveats: readonly string[] } {
  const filterChain = createFilterChain(program, keySets, {
    onBug(error) {
      throw error;
    },
  });
  const caveats: string[] = [];
  let verdict = filterChain.evaluate(request, nowSeconds);
  while (verdict.kind === 'check') {
    caveats.push(`provider ${verdict.provider.name} was not asked; it is taken to ${authorizer}`);
    verdict = verdict.resume(authorizer === 'allow' ? CHECK_ALLOWED : DENY_ANSWER);
  }
  return { final: verdict, caveats };
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

function explainTokens({ program, keySets }: Enforced, raw: RawRequest, nowSeconds: number): readonly JwtRuleExplanation[] {
  const preparation = prepareRequest(raw, program.pathNormalization);
  if (preparation.kind === 'reply') return [];
  return program.providers.map((provider) => explainTokenRule(provider, { keySets, request: preparation.prepared, nowSeconds }));
}

interface Judged {
  readonly request: RawRequest;
  readonly nowSeconds: number;
  readonly final: FinalVerdict;
  readonly refusedByCustom: boolean;
}

function explainRules({ program, keySets }: Enforced, judged: Judged): readonly RuleExplanation[] {
  const { request, nowSeconds } = judged;
  const preparation = prepareRequest(request, program.pathNormalization);
  if (preparation.kind === 'reply') return [];
  const { prepared } = preparation;
  const evaluator = createEvaluator(program);
  // CUSTOM sees the request before tokens are taken out of it.
  const custom = evaluator.trace(factsOf(prepared, request.connection)).filter(({ action }) => action === 'CUSTOM');
  const authentication = createAuthenticator(program.providers, keySets).authenticate(prepared, nowSeconds);
  const claims = authentication.kind === 'verified' ? authentication.claims : undefined;
  const rest = evaluator.trace(factsOf(prepared, request.connection, claims)).filter(({ action }) => action !== 'CUSTOM');
  const removed = claims === undefined ? [] : removedHeaders(program, authentication);
  const explained = [...custom, ...rest].map((trace) => explainRule(trace, judged, removed));
  return explained.toSorted(judged.final.log.decision?.reason === 'no-allow-rule-matched' ? byAllowThenNearness : byNearness);
}

/** Headers that the agent takes out of the request along with the token that it found there. */
function removedHeaders({ providers }: Program, authentication: Authentication): readonly string[] {
  if (authentication.kind !== 'verified' || authentication.provider.forward) return [];
  return providers.filter((provider) => provider === authentication.provider).flatMap(({ headers }) => headers.map(({ name }) => name));
}

function explainRule(trace: RuleTrace, judged: Judged, removed: readonly string[]): RuleExplanation {
  const { action, dryRun, matched, nearness, misses, hits } = trace;
  return {
    rule: ruleRef(trace.rule.source),
    action,
    dryRun,
    matched,
    reached: isReached(trace, judged),
    nearness,
    misses: misses.map((miss) => ({ ...withRemoval(miss, removed), saw: shownValue(miss.path, miss.saw) })),
    hits: hits.map((hit) => ({ ...hit, saw: shownValue(hit.path, hit.saw) })),
  };
}

function withRemoval(miss: ClauseMiss, removed: readonly string[]): ClauseMiss {
  const name = /request\.headers\[([^\]]*)\]$/.exec(miss.path)?.[1]?.toLowerCase();
  if (miss.saw !== 'absent' || name === undefined || !removed.includes(name)) return miss;
  return { ...miss, hint: `header ${name} went out with the verified token; forwardOriginalToken: true of the JWT rule keeps it` };
}

function isReached({ action }: RuleTrace, { final: { log }, refusedByCustom }: Judged): boolean {
  if (action === 'CUSTOM') return true;
  if (refusedByCustom || log.decision === undefined) return false;
  return action !== 'ALLOW' || log.decision.reason !== 'deny-rule';
}

/** Matched and reached first, then the nearest; equal ones in the order of the pipeline (sorting is stable). */
function byNearness(one: RuleExplanation, other: RuleExplanation): number {
  return Number(other.matched && other.reached) - Number(one.matched && one.reached) || other.nearness - one.nearness;
}

/** When no ALLOW rule matched, those are the ones that could have let the request through. */
function byAllowThenNearness(one: RuleExplanation, other: RuleExplanation): number {
  const mayAllow = ({ action, dryRun }: RuleExplanation): number => Number(action === 'ALLOW' && !dryRun);
  return mayAllow(other) - mayAllow(one) || byNearness(one, other);
}

function dryRunOf(decision: Decision | undefined): readonly DryRunOutcome[] {
  if (decision === undefined) return [];
  const outcome = (action: DryRunOutcome['action'], result: Decision['dryRunDeny']): readonly DryRunOutcome[] => {
    if (result === undefined) return [];
    return [
      { action, outcome: result.allowed ? 'allow' : 'deny', ...(result.rule === undefined ? {} : { rule: ruleRef(result.rule.source) }) },
    ];
  };
  return [...outcome('DENY', decision.dryRunDeny), ...outcome('ALLOW', decision.dryRunAllow)];
}

/** A refusal for want of keys says nothing about the token. */
function keyCaveats(
  program: Program,
  keySets: Readonly<Record<string, KeySet>>,
  authentication: readonly JwtRuleExplanation[],
): readonly string[] {
  return program.providers.flatMap((provider, index) => {
    const isUnknown = !Object.hasOwn(keySets, provider.keySet) && authentication[index]?.outcome === 'refused';
    return isUnknown && authentication[index]?.fault === 'Jwt verification fails'
      ? [`the keys of ${ruleText(ruleRef(provider.source))} are not known here; an agent that has them may accept the token`]
      : [];
  });
}
