/*
 * The ext_authz filter: CUSTOM policies. A step that matches is checked by its ext_authz server before the next step is
 * looked at, because each server sees the changes of the one before.
 */
import type { RawRequest } from '../http/heads.ts';
import type { CustomMatch } from '../policy/decide/decision.ts';
import type { Rule } from '../policy/model/program.ts';
import { applyCheckResponse } from './apply-check-response.ts';
import type { CheckResponse } from './check-response.ts';
import { accessDenied, deniedDetails } from './details.ts';
import { deny, type FilterContext, forwardHead, logOf, NO_CHANGES, type RequestContext } from './filter-context.ts';
import { factsOf } from './request-facts.ts';
import type { Verdict } from './verdict.ts';

/** How the chain goes on after ext_authz. */
export interface Resumption {
  /** Runs the filters after ext_authz. */
  proceed(filters: FilterContext, request: RequestContext): Verdict;
  /** The verdict when `resume` of a check throws. */
  onBug(filters: FilterContext, raw: RawRequest, error: unknown): Verdict;
}

/**
 * Runs CUSTOM steps from index `first` on. The first that matches the request in its current state becomes a check; a step
 * without a usable provider denies what it matches.
 */
export function runExtAuthz(filters: FilterContext, request: RequestContext, first: number, then: Resumption): Verdict {
  const { custom } = filters.program.http;
  const match = first === custom.length ? undefined : matchFrom(filters, request, first);
  if (match === undefined) return then.proceed(filters, request);
  const { step, rule } = match;
  if (step.provider === undefined) {
    const details = deniedDetails(rule.id);
    return deny(request, accessDenied(details), { ...logOf(request, 'deny', details), customRule: rule.source });
  }
  const next = custom.indexOf(step) + 1;
  return {
    kind: 'check',
    provider: step.provider,
    rule,
    request: forwardHead(request.prepared),
    scheme: request.prepared.scheme,
    version: request.raw.version,
    connection: request.raw.connection,
    remoteIp: request.prepared.remoteIp,
    // A check may take minutes; the token has to be valid when the request is forwarded.
    resume(response, nowSeconds = request.nowSeconds) {
      try {
        return apply({ ...request, nowSeconds }, rule, response, (changed) => runExtAuthz(filters, changed, next, then));
      } catch (error) {
        return then.onBug(filters, request.raw, error);
      }
    },
    log: logOf(request, 'none', ''),
  };
}

function matchFrom({ program, evaluator }: FilterContext, { prepared, raw }: RequestContext, first: number): CustomMatch | undefined {
  // A request without a route reaches no ext_authz server; steps without a provider still deny it.
  return evaluator
    .custom(factsOf(prepared, raw.connection), 'http')
    .find(({ step }) => program.http.custom.indexOf(step) >= first && (prepared.hasRoute || step.provider === undefined));
}

function apply(request: RequestContext, rule: Rule, response: CheckResponse, proceed: (request: RequestContext) => Verdict): Verdict {
  if (response.kind === 'reply') return deny(request, response, { ...logOf(request, 'deny', response.details), customRule: rule.source });
  applyCheckResponse(request.prepared, response);
  // Filters see a response in reverse order, so the changes of the last server come first.
  return proceed({ ...request, downstream: [...(response.downstreamHeaders ?? NO_CHANGES), ...request.downstream] });
}
