/*
 * Turns exchange records into metrics with closed sets of labels, and into access log lines.
 */
import type { Clock } from '../../clock.ts';
import type { VerdictLog } from '../../filters/verdict.ts';
import type { AgentMetrics, DecisionAction, DecisionCause } from '../../telemetry/agent-metrics.ts';
import type { ExchangeObserver, ExchangeRecord } from '../exchange/exchange-record.ts';
import type { AccessLog } from './access-log.ts';
import { DURATION_DETAILS, decisionOf, NO_DESTINATION_DETAILS, NO_LABELS_DETAILS, ruleOf } from './decision-of.ts';

/** An observer that counts every exchange and logs it when there is an access log. */
export function observeExchanges(metrics: AgentMetrics, accessLog: AccessLog | undefined, clock: Clock): ExchangeObserver {
  return {
    onExchange: (record) => {
      const action = decisionOf(record);
      const endMs = clock.nowMs();
      metrics.onDecision(action, causeOf(record, action));
      if (record.verdict !== undefined) countPolicies(metrics, record.verdict);
      if (record.evaluatedMs !== 0) metrics.onDecisionSeconds((record.evaluatedMs - record.startMs) / 1000);
      if (record.startMs !== 0) metrics.onExchangeSeconds((endMs - record.startMs) / 1000);
      metrics.onResponse(Math.floor(record.status / 100));
      if (record.revoked !== undefined) metrics.onRevoked(record.revoked);
      if (record.details.startsWith('upstream_')) metrics.onUpstreamFailure();
      accessLog?.add(record, endMs);
    },
  };
}

/** A request that no policy could decide, because it was refused before or its client left, is not counted. */
function countPolicies(metrics: AgentMetrics, verdict: VerdictLog): void {
  const { outcome, decision } = verdict;
  if (decision === undefined) {
    const rule = ruleOf(verdict);
    if (rule !== undefined) metrics.onPolicyDecision(rule, outcome === 'unauthenticated' ? outcome : 'deny');
    return;
  }
  metrics.onPolicyDecision(decision.rule?.source, decision.allowed ? 'allow' : 'deny');
  const { dryRunAllow, dryRunDeny } = decision;
  if (dryRunAllow !== undefined) metrics.onDryRun(dryRunAllow.rule?.source, dryRunAllow.allowed ? 'would_allow' : 'would_deny');
  if (dryRunDeny !== undefined) metrics.onDryRun(dryRunDeny.rule?.source, dryRunDeny.allowed ? 'would_allow' : 'would_deny');
}

function causeOf({ verdict, details }: ExchangeRecord, action: DecisionAction): DecisionCause {
  if (action === 'none') return 'client-left';
  if (verdict === undefined || verdict.outcome === 'none') {
    if (details === DURATION_DETAILS) return 'request';
    if (action !== 'closed') return 'codec';
    if (details === NO_DESTINATION_DETAILS) return 'no-destination';
    return details === NO_LABELS_DETAILS ? 'no-policy-for-labels' : 'no-bundle';
  }
  if (verdict.decision !== undefined) return verdict.decision.reason;
  if (verdict.details.startsWith('jwt_authn')) return 'jwt';
  if (verdict.details.startsWith('ext_authz')) return 'ext-authz';
  if (verdict.outcome === 'reject') return 'request';
  return verdict.outcome === 'allow' ? 'no-allow-policy' : 'error';
}
