/*
 * The agent's metrics. Events are counted in plain numbers, so that a request costs next to nothing; the Prometheus text is
 * rendered when it is scraped. No label takes a value that a request can choose.
 */
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { LIMIT_REACHED, type Limit } from '../limits/limit.ts';
import { VERSION } from '../version.ts';
import { type LineKind, LOST_LINES } from './line-writer.ts';
import { createDistribution, createTally, type Distribution, type Metric, renderMetrics, type Tally } from './metric-text.ts';
import { createPolicyCounters, type PolicyCounters, type PolicyRule } from './policy-counters.ts';
import { createTlsMetrics, type TlsEvents } from './tls-metrics.ts';

/** Outcome of a request: the verdicts of the filter chain, `closed` while no bundle is active, `none` when the client left before a verdict. */
export type DecisionAction = 'allow' | 'deny' | 'unauthenticated' | 'reject' | 'closed' | 'none';

/** Outcome of a TCP connection: `closed` while no bundle is active, `none` when it ended before a verdict. */
export type TcpAction = 'allow' | 'deny' | 'closed' | 'none';

/** Reason of the outcome. A closed list: never a string from a request. */
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
  | 'no-policy-for-labels'
  | 'no-destination'
  | 'client-left'
  | 'error';

/** What a policy did with a request. */
export type PolicyAction = 'allow' | 'deny' | 'unauthenticated';

/** What the dry-run policies of one action would have done. */
export type DryRunAction = 'would_allow' | 'would_deny';

/** What became of a request for a profile. */
export type ProfileResult = (typeof PROFILE_RESULTS)[number];

const PROFILE_RESULTS = ['taken', 'busy', 'canceled', 'failed'] as const;
const POLICY_ACTIONS: readonly PolicyAction[] = ['allow', 'deny', 'unauthenticated'];
const DRY_RUN_ACTIONS: readonly DryRunAction[] = ['would_allow', 'would_deny'];

/** Counts the events of one agent. */
export interface AgentMetrics extends TlsEvents {
  /** All metrics in the Prometheus text format. */
  text(): string;
  onDecision(action: DecisionAction, cause: DecisionCause): void;
  /** A TCP connection ended. */
  onTcpConnection(action: TcpAction, cause: DecisionCause): void;
  /** Bytes of TCP connections. */
  onTcpBytes(received: number, sent: number): void;
  /** @param rule the rule that decided; undefined: no policy matched */
  onPolicyDecision(rule: PolicyRule | undefined, action: PolicyAction): void;
  /** @param rule the rule that matched; undefined: none did */
  onDryRun(rule: PolicyRule | undefined, action: DryRunAction): void;
  /** Seconds from the end of the request head to the verdict. */
  onDecisionSeconds(seconds: number): void;
  /** Seconds from the end of the request head to the end of the response. */
  onExchangeSeconds(seconds: number): void;
  /** @param statusClass first digit of the status sent to the client; 0: the client closed the connection first */
  onResponse(statusClass: number): void;
  /** A stream that was allowed is not allowed any longer. @param reason of a closed list */
  onRevoked(reason: string): void;
  /** The application sent no complete response. */
  onUpstreamFailure(): void;
  onConnectionOpened(): void;
  /** @param reason of a closed list */
  onConnectionClosed(reason: string): void;
  /** A client connection was reset because too many were open. */
  onConnectionRefused(): void;
  /** A connection that leads to no port of the application was reset. */
  onBlocked(): void;
  /** Spans were exported, or dropped. */
  onSpans(result: 'exported' | 'dropped', count: number): void;
  /** A profile of the process was asked for. */
  onProfile(result: ProfileResult): void;
  /** The signature of a token is verified. */
  onVerification(): void;
  /** A bundle became active. @param atSeconds Unix time */
  onBundle(digest: string, atSeconds: number): void;
  /** A bundle was rejected; the active one stays. */
  onBundleRefused(code: ErrorCode): void;
}

const REQUEST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DECISION_SECONDS = [0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.001, 0.01, 0.1];
const CLASSES = ['client_left', '1xx', '2xx', '3xx', '4xx', '5xx'];

/**
 * The metrics of one agent.
 *
 * @param nowSeconds Unix time, for ages
 * @param tokens absent: nothing is cached, nothing waits
 * @param withProcess also metrics of the process; for the only agent of a process
 */
export function createAgentMetrics(nowSeconds: () => number, withProcess: boolean, tokens: TokenFigures = NO_TOKENS): AgentMetrics {
  const times = createTimes();
  const tallies = createTallies();
  const decisions = createDecisions('decisions_total', 'Requests by decision and reason.');
  const tcp = createTcpMetrics();
  const policies = createPolicyMetrics();
  const responses = createResponses();
  const { closed, revoked } = createReasons();
  const spans = createResults('spans_total', 'Spans of traces by what became of them.', ['exported', 'dropped']);
  const profiles = createResults('profiles_total', 'Requests for profiles of the agent by what became of them.', PROFILE_RESULTS);
  const bundle = createBundleMetrics(nowSeconds);
  const tls = createTlsMetrics();
  const metrics: readonly Metric[] = [
    decisions,
    ...tcp.metrics,
    policies.decisions,
    policies.dryRuns,
    responses,
    times.decision,
    times.request,
    tallies.upstream,
    tallies.open,
    closed,
    revoked,
    tallies.refused,
    tallies.blocked,
    tallies.verified,
    spans,
    profiles,
    ...tokenMetrics(tokens),
    ...lostLines(),
    limitReached(),
    ...bundle.metrics,
    ...tls.metrics,
    ...(withProcess ? processMetrics() : []),
  ];
  return {
    text: () => renderMetrics(metrics),
    onDecision: decisions.add,
    ...tcp.events,
    onPolicyDecision: policies.decisions.add,
    onDryRun: policies.dryRuns.add,
    onDecisionSeconds: (seconds) => times.decision.observe(seconds),
    onExchangeSeconds: (seconds) => times.request.observe(seconds),
    onResponse: responses.add,
    onRevoked: revoked.add,
    onUpstreamFailure: () => tallies.upstream.add(1),
    ...connectionEvents(tallies, closed),
    onSpans: spans.add,
    onProfile: (result) => profiles.add(result, 1),
    onVerification: () => tallies.verified.add(1),
    onBundle: (digest, atSeconds) => {
      bundle.onBundle(digest, atSeconds);
      policies.decisions.onBundle();
      policies.dryRuns.onBundle();
    },
    onBundleRefused: bundle.onRefused,
    ...tls.events,
  };
}

function connectionEvents(
  { open, refused, blocked }: ReturnType<typeof createTallies>,
  closed: ReasonCounter,
): Pick<AgentMetrics, 'onConnectionOpened' | 'onConnectionClosed' | 'onConnectionRefused' | 'onBlocked'> {
  return {
    onConnectionOpened: () => open.add(1),
    onConnectionClosed: (reason) => {
      open.add(-1);
      closed.add(reason);
    },
    onConnectionRefused: () => refused.add(1),
    onBlocked: () => blocked.add(1),
  };
}

interface TcpMetrics {
  readonly metrics: readonly Metric[];
  readonly events: Pick<AgentMetrics, 'onTcpConnection' | 'onTcpBytes'>;
}

function createTcpMetrics(): TcpMetrics {
  const decisions = createDecisions('tcp_connections_total', 'TCP connections that have ended, by decision and reason.');
  const received = createTally(
    'counter',
    'sallyport_agent_tcp_received_bytes_total',
    'Bytes from clients of TCP connections that have ended.',
  );
  const sent = createTally('counter', 'sallyport_agent_tcp_sent_bytes_total', 'Bytes to clients of TCP connections that have ended.');
  return {
    metrics: [decisions, received, sent],
    events: {
      onTcpConnection: decisions.add,
      onTcpBytes: (fromClient, toClient) => {
        received.add(fromClient);
        sent.add(toClient);
      },
    },
  };
}

function createTimes(): { readonly decision: Distribution; readonly request: Distribution } {
  const decision = 'Seconds from the request head to the verdict.';
  const request = 'Seconds from the request head to the end of the response.';
  return {
    decision: createDistribution('sallyport_agent_decision_seconds', decision, DECISION_SECONDS),
    request: createDistribution('sallyport_agent_request_seconds', request, REQUEST_SECONDS),
  };
}

type TallyName = 'upstream' | 'open' | 'refused' | 'blocked' | 'verified';

function createTallies(): Readonly<Record<TallyName, Tally>> {
  const counter = (name: string, help: string): Tally => createTally('counter', `sallyport_agent_${name}`, help);
  return {
    upstream: counter('upstream_failures_total', 'Requests for which the application sent no complete response.'),
    open: createTally('gauge', 'sallyport_agent_connections', 'Open client connections.'),
    refused: counter('connections_refused_total', 'Client connections reset because too many were open.'),
    verified: counter('token_verifications_total', 'Signatures of tokens verified, because the token was not cached.'),
    blocked: counter('blocked_connections_total', 'Connections reset because they lead to no port of the application.'),
  };
}

/** Read when metrics are rendered. The cache is that of the process. */
export interface TokenFigures {
  readonly cachedBytes: () => number;
  readonly cachedTokens: () => number;
  readonly evictedTokens: () => number;
  readonly waitingRequests: () => number;
  /** Of pods by their addresses; undefined: none are known. Absent: the agent has no feed. */
  readonly identities?: () => { readonly size: number; readonly ageMs: number } | undefined;
}

const none = (): number => 0;
const NO_TOKENS: TokenFigures = { cachedBytes: none, cachedTokens: none, evictedTokens: none, waitingRequests: none };

function tokenMetrics(tokens: TokenFigures): readonly Metric[] {
  const metric = (type: Metric['type'], name: string, help: string, value: () => number): Metric => ({
    name: `sallyport_agent_${name}`,
    help,
    type,
    read: () => [{ value: value() }],
  });
  return [
    metric('gauge', 'token_cache_bytes', 'Estimated memory of the cached tokens.', tokens.cachedBytes),
    metric('gauge', 'token_cache_entries', 'Cached tokens.', tokens.cachedTokens),
    metric('counter', 'token_cache_evictions_total', 'Cached tokens dropped because others needed their memory.', tokens.evictedTokens),
    metric('gauge', 'waiting_evaluations', 'Requests that wait for the verification of a token.', tokens.waitingRequests),
    ...(tokens.identities === undefined ? [] : identityMetrics(tokens.identities)),
  ];
}

/** Absent samples: no identities are known. */
function identityMetrics(known: NonNullable<TokenFigures['identities']>): readonly Metric[] {
  const gauge = (name: string, help: string, value: (found: NonNullable<ReturnType<typeof known>>) => number): Metric => ({
    name: `sallyport_agent_${name}`,
    help,
    type: 'gauge',
    read: () => {
      const found = known();
      return found === undefined ? [] : [{ value: value(found) }];
    },
  });
  return [
    gauge('pod_identities', 'Addresses of pods whose identity is known.', ({ size }) => size),
    gauge(
      'pod_identities_age_seconds',
      'Longest time for which these identities may have been out of date; above 15, none is used.',
      ({ ageMs }) => ageMs / 1000,
    ),
  ];
}

/** Those of the process, as agents in one process share its log. */
function lostLines(): readonly Metric[] {
  const counter = (name: string, help: string, kind: LineKind): Metric => ({
    name,
    help,
    type: 'counter',
    read: () => [{ value: LOST_LINES[kind] }],
  });
  return [
    counter(
      'sallyport_agent_access_log_dropped_total',
      'Access log lines lost because the reader of the log was too slow or gone.',
      'access',
    ),
    counter('sallyport_agent_log_dropped_total', 'Other log lines lost because the reader of the log was too slow or gone.', 'log'),
  ];
}

/** The limits of the process: several agents in one process share them. */
function limitReached(): Metric {
  const limits: readonly Limit[] = Object.values(LIMITS).filter(({ metric }) => metric === LIMIT_REACHED);
  return {
    name: LIMIT_REACHED,
    help: 'How often a limit of docs/reference/limits.md was reached, by its name.',
    type: 'counter',
    read: () => limits.map(({ name, reached }) => ({ labels: { limit: name }, value: reached })),
  };
}

function createDecisions(name: string, help: string): Metric & { readonly add: (action: DecisionAction, cause: DecisionCause) => void } {
  const counts = new Map<DecisionAction, Map<DecisionCause, number>>();
  return {
    name: `sallyport_agent_${name}`,
    help,
    type: 'counter',
    read: () => [...counts].flatMap(([action, causes]) => [...causes].map(([reason, value]) => ({ labels: { action, reason }, value }))),
    add: (action, cause) => {
      let causes = counts.get(action);
      if (causes === undefined) counts.set(action, (causes = new Map()));
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
    },
  };
}

interface PolicyMetrics {
  readonly decisions: PolicyCounters<PolicyAction>;
  readonly dryRuns: PolicyCounters<DryRunAction>;
}

function createPolicyMetrics(): PolicyMetrics {
  return {
    decisions: createPolicyCounters(
      {
        name: 'sallyport_agent_policy_decisions_total',
        help: 'Requests by the policy that decided and what it did; none: no policy matched, other: policies beyond the limit of series.',
      },
      POLICY_ACTIONS,
      LIMITS.policySeries,
    ),
    dryRuns: createPolicyCounters(
      {
        name: 'sallyport_agent_dry_run_decisions_total',
        help: 'Requests by the dry-run policy that matched and what it would have done; none: no policy matched, other: as above.',
      },
      DRY_RUN_ACTIONS,
      LIMITS.dryRunSeries,
    ),
  };
}

function createResponses(): Metric & { readonly add: (statusClass: number) => void } {
  const counts = new Float64Array(CLASSES.length);
  return {
    name: 'sallyport_agent_responses_total',
    help: 'Responses by status class.',
    type: 'counter',
    read: () => CLASSES.map((name, at) => ({ labels: { class: name }, value: counts[at] ?? 0 })),
    add: (statusClass) => {
      if (statusClass >= 0 && statusClass < counts.length) counts[statusClass] = (counts[statusClass] ?? 0) + 1;
    },
  };
}

type ReasonCounter = Metric & { readonly add: (reason: string) => void };

function createReasons(): { readonly closed: ReasonCounter; readonly revoked: ReasonCounter } {
  const counter = (name: string, help: string): ReasonCounter => {
    const counts = new Map<string, number>();
    return {
      name: `sallyport_agent_${name}`,
      help,
      type: 'counter',
      read: () => [...counts].map(([reason, value]) => ({ labels: { reason }, value })),
      add: (reason) => counts.set(reason, (counts.get(reason) ?? 0) + 1),
    };
  };
  return {
    closed: counter('connections_closed_total', 'Client connections closed, by reason.'),
    revoked: counter('streams_revoked_total', 'Exchanges and TCP connections that ended because they were evaluated again, by reason.'),
  };
}

/** A counter by result. @param results all of them */
function createResults<R extends string>(
  name: string,
  help: string,
  results: readonly R[],
): Metric & { readonly add: (result: R, count: number) => void } {
  const counts = new Map(results.map((result) => [result, 0]));
  return {
    name: `sallyport_agent_${name}`,
    help,
    type: 'counter',
    read: () => [...counts].map(([result, value]) => ({ labels: { result }, value })),
    add: (result, count) => counts.set(result, (counts.get(result) ?? 0) + count),
  };
}

interface BundleMetrics {
  readonly metrics: readonly Metric[];
  readonly onBundle: AgentMetrics['onBundle'];
  readonly onRefused: AgentMetrics['onBundleRefused'];
}

function createBundleMetrics(nowSeconds: () => number): BundleMetrics {
  const refusals = new Map<ErrorCode, number>();
  let active: { readonly digest: string; readonly sinceSeconds: number } | undefined;
  return {
    metrics: [
      {
        name: 'sallyport_agent_bundle_info',
        help: 'Digest of the active bundle.',
        type: 'gauge',
        read: () => (active === undefined ? [] : [{ labels: { digest: active.digest }, value: 1 }]),
      },
      {
        name: 'sallyport_agent_bundle_age_seconds',
        help: 'Seconds since the active bundle was activated; absent before the first one.',
        type: 'gauge',
        read: () => (active === undefined ? [] : [{ value: nowSeconds() - active.sinceSeconds }]),
      },
      {
        name: 'sallyport_agent_bundle_refused_total',
        help: 'Rejected bundles by error code; the last good bundle stayed active.',
        type: 'counter',
        read: () => [...refusals].map(([code, value]) => ({ labels: { code }, value })),
      },
    ],
    onBundle: (digest, sinceSeconds) => {
      active = { digest, sinceSeconds };
    },
    onRefused: (code) => {
      refusals.set(code, (refusals.get(code) ?? 0) + 1);
    },
  };
}

/** Version of the agent, and the process metrics that common dashboards use, under the names that prom-client gives them. */
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
      name: 'sallyport_agent_build_info',
      help: 'Version of the agent.',
      type: 'gauge',
      read: () => [{ labels: { version: VERSION }, value: 1 }],
    },
    {
      name: 'process_cpu_seconds_total',
      help: 'Total user and system CPU time in seconds.',
      type: 'counter',
      read: () => {
        const { user, system } = process.cpuUsage();
        return [{ value: (user + system) / 1e6 }];
      },
    },
    gauge('process_start_time_seconds', 'Start time of the process in seconds since 1970.', () => startSeconds),
    gauge('process_resident_memory_bytes', 'Resident memory in bytes.', () => process.memoryUsage.rss()),
    gauge('nodejs_heap_size_used_bytes', 'Used V8 heap in bytes.', () => process.memoryUsage().heapUsed),
  ];
}
