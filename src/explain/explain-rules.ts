/*
 * The result of every AuthorizationPolicy rule for a request, from the evaluator's own trace.
 */
import { factsOf } from '../filters/request-facts.ts';
import type { RawRequest } from '../http/heads.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import { type Authentication, createAuthenticator } from '../jwt/authenticator.ts';
import type { ClauseMiss, RuleTrace } from '../policy/decide/decision.ts';
import { createEvaluator } from '../policy/decide/evaluator.ts';
import type { Program } from '../policy/model/program.ts';
import { clauseHeader } from './clause-header.ts';
import type { Enforced, FinalVerdict } from './evaluate-to-end.ts';
import type { RuleExplanation } from './explanation.ts';
import { redactValue } from './redact.ts';
import { ruleRef } from './rule-ref.ts';

/** An evaluated request. */
export interface EvaluatedRequest {
  readonly request: RawRequest;
  readonly nowSeconds: number;
  readonly final: FinalVerdict;
  /** Whether a CUSTOM policy gave the verdict. */
  readonly deniedByCustom: boolean;
}

/** Every rule, matched ones first, then the nearest miss; empty when the request is rejected before any rule. */
export function explainRules({ program, keySets }: Enforced, evaluated: EvaluatedRequest): readonly RuleExplanation[] {
  const { request, nowSeconds } = evaluated;
  const preparation = prepareRequest(request, program.pathNormalization);
  if (preparation.kind === 'reply') return [];
  const { prepared } = preparation;
  const evaluator = createEvaluator(program);
  // CUSTOM rules see the request before the agent removes the verified token from it.
  const custom = evaluator.trace(factsOf(prepared, request.connection)).filter(({ action }) => action === 'CUSTOM');
  const authentication = createAuthenticator(program.providers, keySets).authenticate(prepared, nowSeconds);
  const claims = authentication.kind === 'verified' ? authentication.claims : undefined;
  const others = evaluator.trace(factsOf(prepared, request.connection, claims)).filter(({ action }) => action !== 'CUSTOM');
  const removed = claims === undefined ? [] : removedHeaders(program, authentication);
  const explained = [...custom, ...others].map((trace) => explainRule(trace, evaluated, removed));
  return explained.toSorted(evaluated.final.log.decision?.reason === 'no-allow-rule-matched' ? byAllowThenNearness : byNearness);
}

/** Headers that the agent removes together with the verified token. */
function removedHeaders({ providers }: Program, authentication: Authentication): readonly string[] {
  if (authentication.kind !== 'verified' || authentication.provider.forward) return [];
  return providers.filter((provider) => provider === authentication.provider).flatMap(({ headers }) => headers.map(({ name }) => name));
}

function explainRule(trace: RuleTrace, evaluated: EvaluatedRequest, removed: readonly string[]): RuleExplanation {
  const { action, dryRun, matched, failing, nearness, misses, hits } = trace;
  return {
    rule: ruleRef(trace.rule.source),
    action,
    dryRun,
    matched,
    reached: isReached(trace, evaluated),
    failing,
    nearness,
    misses: misses.map((miss) => ({ ...withRemovalHint(miss, removed), saw: redactValue(miss.path, miss.saw) })),
    hits: hits.map((hit) => ({ ...hit, saw: redactValue(hit.path, hit.saw) })),
  };
}

function withRemovalHint(miss: ClauseMiss, removed: readonly string[]): ClauseMiss {
  const name = clauseHeader(miss.path);
  if (miss.saw !== 'absent' || name === undefined || !removed.includes(name)) return miss;
  return { ...miss, hint: `header ${name} was removed with the verified token; forwardOriginalToken: true in the JWT rule keeps it` };
}

function isReached({ action }: RuleTrace, { final: { log }, deniedByCustom }: EvaluatedRequest): boolean {
  if (action === 'CUSTOM') return true;
  if (deniedByCustom || log.decision === undefined) return false;
  return action !== 'ALLOW' || log.decision.reason !== 'deny-rule';
}

/**
 * Rules that matched and were reached first, then those with the fewest failing clauses, then those with the largest share of clauses
 * that held; equally near rules stay in evaluation order.
 */
function byNearness(one: RuleExplanation, other: RuleExplanation): number {
  const reached = Number(other.matched && other.reached) - Number(one.matched && one.reached);
  return reached || one.failing - other.failing || other.nearness - one.nearness;
}

/** When no ALLOW rule matched, the ALLOW rules are those that could have allowed the request. */
function byAllowThenNearness(one: RuleExplanation, other: RuleExplanation): number {
  const canAllow = ({ action, dryRun }: RuleExplanation): number => Number(action === 'ALLOW' && !dryRun);
  return canAllow(other) - canAllow(one) || byNearness(one, other);
}
