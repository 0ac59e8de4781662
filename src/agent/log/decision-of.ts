/*
 * How an exchange was decided, as a label for metrics and access log.
 */
import type { DecisionAction } from '../../telemetry/agent-metrics.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';

/** The outcome of the verdict; `closed` when no policy was active, `reject` when the codec refused the request. */
export function decisionOf(record: ExchangeRecord): DecisionAction {
  if (record.verdict !== undefined) return record.verdict.outcome;
  return record.details === NO_BUNDLE_DETAILS ? 'closed' : 'reject';
}

/** Response code details of a request that arrived before the first bundle. */
export const NO_BUNDLE_DETAILS = 'no_policy_bundle';
