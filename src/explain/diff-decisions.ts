/*
 * One request under two sets of policies. In: what is enforced before and after, then requests. Out: for each whose verdict
 * flips, what decided on either side. Called by the command `diff`.
 */

import { CHECK_ALLOWED } from '../filters/check-response.ts';
import { createFilterChain, type FilterChain } from '../filters/filter-chain.ts';
import type { Verdict, VerdictLog } from '../filters/verdict.ts';
import type { RawRequest } from '../http/heads.ts';
import { type Enforced, explainRequest } from './explain-request.ts';
import type { DecidedBy, ExplainedVerdict } from './explanation.ts';
import { ruleRef, ruleText } from './rule-ref.ts';

export interface Judged {
  readonly verdict: ExplainedVerdict;
  readonly decidedBy: DecidedBy;
}

export interface Flip {
  /** One text for all flips between the same two outcomes by the same two rules. */
  readonly kind: string;
  /** Costs far more than finding the flip. */
  readonly explain: () => { readonly before: Judged; readonly after: Judged };
}

export interface Sides {
  readonly before: Enforced;
  readonly after: Enforced;
}

/**
 * A way to find flips: requests with another outcome, or another status of the reply. Each request is judged once a side.
 * @param nowSeconds whole Unix seconds, the same for both sides
 * @returns gives undefined for a request that does not flip
 */
export function createComparison(sides: Sides, nowSeconds: number): (request: RawRequest) => Flip | undefined {
  const judges = { before: filterChainOf(sides.before), after: filterChainOf(sides.after) };
  return (request) => {
    const before = judgeToEnd(judges.before, request, nowSeconds);
    const after = judgeToEnd(judges.after, request, nowSeconds);
    if (before.outcome === after.outcome) return undefined;
    return {
      kind: JSON.stringify([before, after]),
      explain: () => ({ before: explained(sides.before, request, nowSeconds), after: explained(sides.after, request, nowSeconds) }),
    };
  };
}

function filterChainOf({ program, keySets }: Enforced): FilterChain {
  return createFilterChain(program, keySets, {
    onBug(error) {
      throw error;
    },
  });
}

interface Outcome {
  /** What the client would notice. */
  readonly outcome: string;
  readonly by: string;
}

function judgeToEnd(filterChain: FilterChain, request: RawRequest, nowSeconds: number): Outcome {
  let verdict: Verdict = filterChain.evaluate(request, nowSeconds);
  let asked = '';
  while (verdict.kind === 'check') {
    // An authorizer that is asked on one side only is a difference, for it may say no.
    asked = `${asked} ${verdict.provider.name}`;
    verdict = verdict.resume(CHECK_ALLOWED);
  }
  return { outcome: `${verdict.log.outcome} ${verdict.kind === 'reply' ? verdict.status : ''}${asked}`, by: decidedBy(verdict.log) };
}

/** The rule and what it said; details name the rule of an authorizer, and why a token or a request was refused. */
function decidedBy({ outcome, decision, jwtRule, details }: VerdictLog): string {
  const rule = decision === undefined && outcome !== 'reject' ? jwtRule : decision?.rule?.source;
  return `${rule === undefined ? '' : ruleText(ruleRef(rule))} ${decision?.reason ?? details}`;
}

function explained(enforced: Enforced, request: RawRequest, nowSeconds: number): Judged {
  const { verdict, decidedBy: by, caveats } = explainRequest(enforced, request, nowSeconds);
  const [note] = caveats;
  return { verdict, decidedBy: note === undefined ? by : { ...by, text: `${by.text}; ${note}` } };
}
