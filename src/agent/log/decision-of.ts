/*
 * How an exchange was decided, and by what, for metrics and access log.
 */
import type { VerdictLog } from '../../filters/verdict.ts';
import type { Provenance } from '../../policy/model/program.ts';
import type { DecisionAction } from '../../telemetry/agent-metrics.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';

/**
 * The outcome of the verdict; `closed` when no policy was active, `reject` when the codec refused the request, `none` when the client left
 * before a verdict.
 */
export function decisionOf({ verdict, status, details }: ExchangeRecord): DecisionAction {
  if (verdict !== undefined && verdict.outcome !== 'none') return verdict.outcome;
  if (status === 0) return 'none';
  return CLOSED_DETAILS.includes(details) ? 'closed' : 'reject';
}

/** The rule that gave the verdict; undefined: no single rule did. */
export function ruleOf({
  outcome,
  decision,
  customRule,
  jwtRule,
}: { readonly [K in 'outcome' | 'decision' | 'customRule' | 'jwtRule']?: VerdictLog[K] | undefined }): Provenance | undefined {
  if (decision !== undefined) return decision.rule?.source;
  return customRule ?? (outcome === 'unauthenticated' || outcome === 'deny' ? jwtRule : undefined);
}

/** Response code details of a request that arrived before the first bundle. */
export const NO_BUNDLE_DETAILS = 'no_policy_bundle';

/** Response code details of a request whose client set a deadline that is over. */
export const DURATION_DETAILS = 'max_duration_timeout';

/** Response code details of a request that arrived while the bundle had no policy for the labels of the pod. */
export const NO_LABELS_DETAILS = 'no_policy_for_labels';

/** Response code details of every request to an agent that cannot read where clients connected to. */
export const NO_DESTINATION_DETAILS = 'no_original_destination';

const CLOSED_DETAILS: readonly string[] = [NO_BUNDLE_DETAILS, NO_LABELS_DETAILS, NO_DESTINATION_DETAILS];
