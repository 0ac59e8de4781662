/*
 * Turns records of TCP connections into metrics with closed sets of labels, and into access log lines.
 */
import type { AgentMetrics, DecisionCause } from '../../telemetry/agent-metrics.ts';
import type { TcpObserver, TcpRecord } from '../tcp/tcp-record.ts';
import type { AccessLog } from './access-log.ts';
import { NO_DESTINATION_DETAILS, NO_LABELS_DETAILS } from './decision-of.ts';

/** An observer that counts every TCP connection and logs it when there is an access log. */
export function observeConnections(metrics: AgentMetrics, accessLog: AccessLog | undefined): TcpObserver {
  return {
    onTcpConnection: (record) => {
      metrics.onTcpConnection(record.outcome, causeOf(record));
      metrics.onTcpBytes(record.received, record.sent);
      countPolicies(metrics, record);
      if (record.revoked !== undefined) metrics.onRevoked(record.revoked);
      if (record.details.startsWith('upstream_')) metrics.onUpstreamFailure();
      accessLog?.addConnection(record);
    },
  };
}

function countPolicies(metrics: AgentMetrics, { decision, customRule }: TcpRecord): void {
  if (decision === undefined) {
    if (customRule !== undefined) metrics.onPolicyDecision(customRule, 'deny');
    return;
  }
  metrics.onPolicyDecision(decision.rule?.source, decision.allowed ? 'allow' : 'deny');
  const { dryRunAllow, dryRunDeny } = decision;
  if (dryRunAllow !== undefined) metrics.onDryRun(dryRunAllow.rule?.source, dryRunAllow.allowed ? 'would_allow' : 'would_deny');
  if (dryRunDeny !== undefined) metrics.onDryRun(dryRunDeny.rule?.source, dryRunDeny.allowed ? 'would_allow' : 'would_deny');
}

function causeOf({ outcome, details, decision, customRule }: TcpRecord): DecisionCause {
  if (outcome === 'closed') {
    if (details === NO_DESTINATION_DETAILS) return 'no-destination';
    return details === NO_LABELS_DETAILS ? 'no-policy-for-labels' : 'no-bundle';
  }
  if (decision !== undefined) return decision.reason;
  if (customRule !== undefined) return 'ext-authz';
  return outcome === 'none' ? (details === '' ? 'client-left' : 'request') : 'error';
}
