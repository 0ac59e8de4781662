/*
 * Turns exchange records into metrics with closed sets of labels, and into access log lines.
 */
import type { Clock } from '../../clock.ts';
import type { AgentMetrics, DecisionCause } from '../../telemetry/agent-metrics.ts';
import type { ExchangeObserver, ExchangeRecord } from '../exchange/exchange-record.ts';
import type { AccessLog } from './access-log.ts';
import { decisionOf } from './decision-of.ts';

/** An observer that counts every exchange and logs it when there is an access log. */
export function observeExchanges(metrics: AgentMetrics, accessLog: AccessLog | undefined, clock: Clock): ExchangeObserver {
  return {
    onExchange: (record) => {
      metrics.onDecision(decisionOf(record), causeOf(record));
      if (record.evaluatedMs !== 0) metrics.onDecisionSeconds((record.evaluatedMs - record.startMs) / 1000);
      if (record.startMs !== 0) metrics.onExchangeSeconds((clock.nowMs() - record.startMs) / 1000);
      metrics.onResponse(Math.floor(record.status / 100));
      if (record.details.startsWith('upstream_')) metrics.onUpstreamFailure();
      accessLog?.add(record);
    },
  };
}

function causeOf(record: ExchangeRecord): DecisionCause {
  const { verdict } = record;
  if (verdict === undefined) return decisionOf(record) === 'closed' ? 'no-bundle' : 'codec';
  if (verdict.decision !== undefined) return verdict.decision.reason;
  if (verdict.details.startsWith('jwt_authn')) return 'jwt';
  if (verdict.details.startsWith('ext_authz')) return 'ext-authz';
  if (verdict.outcome === 'reject') return 'request';
  return verdict.outcome === 'allow' ? 'no-allow-policy' : 'error';
}
