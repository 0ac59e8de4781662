/*
 * The agent's metrics. In: calls of the proxy and intake, kept in plain numbers so that a request pays next to nothing.
 * Out: text for Prometheus when it is scraped. No label has a value that a request can choose.
 */
import type { ErrorCode } from '../errors.ts';
import { createDistribution, createTally, type Metric, renderMetrics } from './metric-text.ts';

/** What a request's decision was: the judge's outcomes, or `closed` while no policy is in force. */
export type DecisionAction = 'allow' | 'deny' | 'unauthenticated' | 'reject' | 'closed';

/** Why: closed lists, never text of a request. */
export type DecisionCause =
  | 'allow-rule'
  | 'deny-rule'
  | 'no-allow-rule-matched'
  | 'no-allow-policy'
  | 'jwt'
  | 'ext-authz'
  | 'request'
  | 'codec'
  | 'no-bundle'
  | 'error';

export interface AgentMetrics {
  /** Everything in Prometheus' text format. */
  text(): string;
  onDecision(action: DecisionAction, cause: DecisionCause): void;
  /** Time from the end of a request's head to the verdict. */
  onDecisionSeconds(seconds: number): void;
  /** Time from the end of the request's head to the end of the response. */
  onExchangeSeconds(seconds: number): void;
  /** Class of the status that the client got, e.g. 2 for 2xx; 0: the client left first. */
  onResponse(statusClass: number): void;
  onUpstreamFailure(): void;
  onConnections(delta: number): void;
  onConnectionRefused(): void;
  onBlocked(): void;
  onAccessLogDropped(): void;
  /** A bundle came into force. @param atSeconds Unix time */
  onBundle(digest: string, atSeconds: number): void;
  onBundleRefused(code: ErrorCode): void;
}

const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DECISION_SECONDS = [0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.001, 0.01, 0.1];
const CLASSES = ['client_left', '1xx', '2xx', '3xx', '4xx', '5xx'];

/**
 * Metrics of one agent.
 * @param nowSeconds Unix time, for ages
 * @param withProcess the process's own too; for the only agent of a process
 */
export function createAgentMetrics(nowSeconds: () => number, withProcess: boolean): AgentMetrics {
  const decision = createDistribution(
    'sallyport_agent_decision_seconds',
    'Time from the head of a request to its verdict.',
    DECISION_SECONDS,
  );
  const request = createDistribution(
    'sallyport_agent_request_seconds',
    'Time from the head of a request to the end of its response.',
    REQUEST_SECONDS,
  );
  const upstream = createTally(
    'counter',
    'sallyport_agent_upstream_failures_total',
    'Requests for which the application gave no whole response.',
  );
  const open = createTally('gauge', 'sallyport_agent_connections', 'Client connections open now.');
  const refused = createTally(
    'counter',
    'sallyport_agent_connections_refused_total',
    'Client connections reset because too many were open.',
  );
  const blocked = createTally(
    'counter',
    'sallyport_agent_blocked_connections_total',
    'Connections to ports that the pod does not declare, all reset.',
  );
  const dropped = createTally(
    'counter',
    'sallyport_agent_access_log_dropped_total',
    'Access log lines lost because their reader does not keep up.',
  );
  const decisions = createDecisions();
  const responses = createResponses();
  const bundle = createBundleMetrics(nowSeconds);
  const metrics: readonly Metric[] = [
    decisions,
    responses,
    decision,
    request,
    upstream,
    open,
    refused,
    blocked,
    dropped,
    ...bundle.metrics,
    ...(withProcess ? processMetrics() : []),
  ];
  return {
    text: () => renderMetrics(metrics),
    onDecision: decisions.add,
    onDecisionSeconds: (seconds) => decision.observe(seconds),
    onExchangeSeconds: (seconds) => request.observe(seconds),
    onResponse: responses.add,
    onUpstreamFailure: () => upstream.add(1),
    onConnections: (delta) => open.add(delta),
    onConnectionRefused: () => refused.add(1),
    onBlocked: () => blocked.add(1),
    onAccessLogDropped: () => dropped.add(1),
    onBundle: bundle.onBundle,
    onBundleRefused: bundle.onRefused,
  };
}

function createDecisions(): Metric & { readonly add: (action: DecisionAction, cause: DecisionCause) => void } {
  const counts = new Map<DecisionAction, Map<DecisionCause, number>>();
  return {
    name: 'sallyport_agent_decisions_total',
    help: 'Requests by decision and reason.',
    type: 'counter',
    read: () => [...counts].flatMap(([action, causes]) => [...causes].map(([reason, value]) => ({ labels: { action, reason }, value }))),
    add: (action, cause) => {
      let causes = counts.get(action);
      if (causes === undefined) counts.set(action, (causes = new Map()));
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
    },
  };
}

function createResponses(): Metric & { readonly add: (statusClass: number) => void } {
  const counts = new Float64Array(CLASSES.length);
  return {
    name: 'sallyport_agent_responses_total',
    help: 'Responses by class of status.',
    type: 'counter',
    read: () => CLASSES.map((name, at) => ({ labels: { class: name }, value: counts[at] ?? 0 })),
    add: (statusClass) => {
      if (statusClass >= 0 && statusClass < counts.length) counts[statusClass] = (counts[statusClass] ?? 0) + 1;
    },
  };
}

interface BundleMetrics {
  readonly metrics: readonly Metric[];
  readonly onBundle: AgentMetrics['onBundle'];
  readonly onRefused: AgentMetrics['onBundleRefused'];
}

function createBundleMetrics(nowSeconds: () => number): BundleMetrics {
  const refusals = new Map<ErrorCode, number>();
  let inForce: { readonly digest: string; readonly sinceSeconds: number } | undefined;
  return {
    metrics: [
      {
        name: 'sallyport_agent_bundle_info',
        help: 'The bundle in force.',
        type: 'gauge',
        read: () => (inForce === undefined ? [] : [{ labels: { digest: inForce.digest }, value: 1 }]),
      },
      {
        name: 'sallyport_agent_bundle_age_seconds',
        help: 'Time since the bundle in force was put in force; absent before the first.',
        type: 'gauge',
        read: () => (inForce === undefined ? [] : [{ value: nowSeconds() - inForce.sinceSeconds }]),
      },
      {
        name: 'sallyport_agent_bundle_refused_total',
        help: 'Bundles that were refused, by reason; the last good one stayed in force.',
        type: 'counter',
        read: () => [...refusals].map(([code, value]) => ({ labels: { code }, value })),
      },
    ],
    onBundle: (digest, sinceSeconds) => {
      inForce = { digest, sinceSeconds };
    },
    onRefused: (code) => {
      refusals.set(code, (refusals.get(code) ?? 0) + 1);
    },
  };
}

/** The few process metrics that dashboards look for, under their usual names. */
function processMetrics(): readonly Metric[] {
  const startSeconds = Date.now() / 1000 - process.uptime();
  const gauge = (name: string, help: string, value: () => number): Metric => ({
    name,
    help,
    type: 'gauge',
    read: () => [{ value: value() }],
  });
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'User and system CPU time.',
      type: 'counter',
      read: () => {
        const { user, system } = process.cpuUsage();
        return [{ value: (user + system) / 1e6 }];
      },
    },
    gauge('process_start_time_seconds', 'Start of the process, Unix time.', () => startSeconds),
    gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss()),
    gauge('nodejs_heap_size_used_bytes', 'Used heap of V8.', () => process.memoryUsage().heapUsed),
  ];
}
