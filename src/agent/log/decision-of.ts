/*
 * One word for how an exchange was decided. In: its record. Out: a label for metrics and access log.
 */
import type { DecisionAction } from '../../telemetry/agent-metrics.ts';
import type { ExchangeRecord } from '../context.ts';

/** The judge's outcome; `closed` when no policy was in force, `reject` when the codec refused the request. */
export function decisionOf(record: ExchangeRecord): DecisionAction {
  if (record.verdict !== undefined) return record.verdict.outcome;
  return record.details === NO_BUNDLE_DETAILS ? 'closed' : 'reject';
}

/** Response code details of a request that came before the first bundle. */
export const NO_BUNDLE_DETAILS = 'no_policy_bundle';
