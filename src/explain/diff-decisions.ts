/*
 * Compares the decisions on a request under two sets of policies. For `sallyport diff`.
 */
import type { VerdictLog } from '../filters/verdict.ts';
import type { RawRequest } from '../http/heads.ts';
import { createExplainedChain, type Enforced, evaluateToEnd } from './evaluate-to-end.ts';
import { explainRequest } from './explain-request.ts';
import type { DecidedBy, ExplainedVerdict } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';

/** A verdict and what gave it. Printed as JSON with these member names. */
export interface ExplainedDecision {
  readonly verdict: ExplainedVerdict;
  readonly decidedBy: DecidedBy;
}

/** A request whose decision differs. */
export interface Flip {
  /** Equal for all flips between the same two outcomes by the same two rules. */
  readonly kind: string;
  /** Explains both decisions; costs far more than finding the flip. */
  readonly explain: () => { readonly before: ExplainedDecision; readonly after: ExplainedDecision };
}

/** What is enforced before and after. */
export interface ComparedPolicies {
  readonly before: Enforced;
  readonly after: Enforced;
}

/**
 * Creates a function that compares the decisions on one request. They differ in the outcome, in the status of the reply, or in
 * the external authorizers that are called: one that is called on one side only may deny. Each request is evaluated once per side.
 *
 * @param nowSeconds whole Unix seconds, the same for both sides
 * @returns the function returns undefined for a request with equal decisions
 */
export function createComparison({ before, after }: ComparedPolicies, nowSeconds: number): (request: RawRequest) => Flip | undefined {
  const outcomeBefore = createOutcome(before, nowSeconds);
  const outcomeAfter = createOutcome(after, nowSeconds);
  return (request) => {
    const [one, other] = [outcomeBefore(request), outcomeAfter(request)];
    if (one.outcome === other.outcome) return undefined;
    return {
      kind: JSON.stringify([one, other]),
      explain: () => ({ before: explainDecision(before, request, nowSeconds), after: explainDecision(after, request, nowSeconds) }),
    };
  };
}

interface Outcome {
  /** What the client can observe, and the external authorizers that are called. */
  readonly outcome: string;
  /** What decided. */
  readonly by: string;
}

function createOutcome(enforced: Enforced, nowSeconds: number): (request: RawRequest) => Outcome {
  const chain = createExplainedChain(enforced);
  return (request) => {
    const { final, providers } = evaluateToEnd(chain, request, nowSeconds, 'allow');
    const status = final.kind === 'reply' ? final.status : '';
    return { outcome: [final.log.outcome, status, ...providers].join(' '), by: deciderText(final.log) };
  };
}

/** The rule and its reason. The details name the rule of an authorizer, and why a token or a request was rejected. */
function deciderText({ outcome, decision, jwtRule, details }: VerdictLog): string {
  const rule = decision === undefined && outcome !== 'reject' ? jwtRule : decision?.rule?.source;
  return `${rule === undefined ? '' : ruleText(ruleRef(rule))} ${decision?.reason ?? details}`;
}

/** The decision on one request and what gave it. @param nowSeconds whole Unix seconds */
export function explainDecision(enforced: Enforced, request: RawRequest, nowSeconds: number): ExplainedDecision {
  const { verdict, decidedBy, caveats } = explainRequest(enforced, request, nowSeconds);
  const [caveat] = caveats;
  return { verdict, decidedBy: caveat === undefined ? decidedBy : { ...decidedBy, text: `${decidedBy.text}; ${caveat}` } };
}
