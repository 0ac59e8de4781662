/*
 * The agent's metrics. In: calls of the proxy and intake, kept in plain numbers so that a request pays next to nothing.
 * Out: a prom-client registry of one agent, read when it is scraped. No label has a value that a request can choose.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ErrorCode } from '../errors.ts';
import { ExactHistogram } from './exact-histogram.ts';

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
  readonly registry: Registry;
  onDecision(action: DecisionAction, cause: DecisionCause): void;
  /** Time from the end of a request's head to the verdict. */
  onDecisionSeconds(seconds: number): void;
  /** Time from the end of the request's head to the end of the response. */
  onExchangeSeconds(seconds: number): void;
  /** Status class of what the client got, e.g. 2 for 2xx; 0: the client left first. */
  onResponse(statusClass: number): void;
  onUpstreamFailure(): void;
  onConnections(delta: number): void;
  onConnectionRefused(): void;
  onBlocked(): void;
  onAccessLogDropped(): void;
  /** A bundle came into force. @param nowSeconds Unix time */
  onBundle(digest: string, nowSeconds: number): void;
  onBundleRefused(code: ErrorCode): void;
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DECISION_SECONDS = [0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.001, 0.01, 0.1];
const CLASSES = ['client_left', '1xx', '2xx', '3xx', '4xx', '5xx'];

/** @param nowSeconds Unix time, for ages @param processMetrics also Node's own metrics (one agent per process only) */
export function createAgentMetrics(nowSeconds: () => number, processMetrics: boolean): AgentMetrics {
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });
  const decisions = new Map<string, number>();
  const classes = new Float64Array(CLASSES.length);
  const plain = plainCounters(registry);
  const bundle = bundleMetrics(registry, nowSeconds);
  const duration = new ExactHistogram(
    'sallyport_agent_request_seconds',
    'Time from the head of a request to the end of its response.',
    SECONDS,
  );
  const decision = new ExactHistogram(
    'sallyport_agent_decision_seconds',
    'Time from the head of a request to its verdict.',
    DECISION_SECONDS,
  );
  registry.registerMetric(duration.asMetric());
  registry.registerMetric(decision.asMetric());
  registerScraped(registry, {
    name: 'sallyport_agent_decisions_total',
    help: 'Requests by decision and reason.',
    labelNames: ['action', 'reason'],
    read: (set) => {
      for (const [key, count] of decisions) {
        const [action = '', reason = ''] = key.split(' ');
        set({ action, reason }, count);
      }
    },
  });
  registerScraped(registry, {
    name: 'sallyport_agent_responses_total',
    help: 'Responses by class of status.',
    labelNames: ['class'],
    read: (set) => CLASSES.forEach((name, at) => set({ class: name }, classes[at] ?? 0)),
  });
  return {
    registry,
    onDecision: (action, cause) => {
      const key = `${action} ${cause}`;
      decisions.set(key, (decisions.get(key) ?? 0) + 1);
    },
    onDecisionSeconds: (seconds) => decision.observe(seconds),
    onExchangeSeconds: (seconds) => duration.observe(seconds),
    onResponse: (statusClass) => {
      if (statusClass >= 0 && statusClass < classes.length) classes[statusClass] = (classes[statusClass] ?? 0) + 1;
    },
    ...plain,
    ...bundle,
  };
}

type PlainCounters = Pick<AgentMetrics, 'onUpstreamFailure' | 'onConnections' | 'onConnectionRefused' | 'onBlocked' | 'onAccessLogDropped'>;

function plainCounters(registry: Registry): PlainCounters {
  const registers = [registry];
  const upstream = new Counter({
    name: 'sallyport_agent_upstream_failures_total',
    help: 'Requests for which the application gave no whole response.',
    registers,
  });
  const open = new Gauge({ name: 'sallyport_agent_connections', help: 'Client connections open now.', registers });
  const refused = new Counter({
    name: 'sallyport_agent_connections_refused_total',
    help: 'Client connections reset because too many were open.',
    registers,
  });
  const blocked = new Counter({
    name: 'sallyport_agent_blocked_connections_total',
    help: 'Connections to ports that the pod does not declare, all reset.',
    registers,
  });
  const dropped = new Counter({
    name: 'sallyport_agent_access_log_dropped_total',
    help: 'Access log lines lost because their reader does not keep up.',
    registers,
  });
  return {
    onUpstreamFailure: () => upstream.inc(),
    onConnections: (delta) => open.inc(delta),
    onConnectionRefused: () => refused.inc(),
    onBlocked: () => blocked.inc(),
    onAccessLogDropped: () => dropped.inc(),
  };
}

function bundleMetrics(registry: Registry, nowSeconds: () => number): Pick<AgentMetrics, 'onBundle' | 'onBundleRefused'> {
  const registers = [registry];
  const info = new Gauge({ name: 'sallyport_agent_bundle_info', help: 'The bundle in force.', labelNames: ['digest'], registers });
  let sinceSeconds: number | undefined;
  new Gauge({
    name: 'sallyport_agent_bundle_age_seconds',
    help: 'Time since the bundle in force was put in force; absent before the first.',
    registers,
    collect() {
      if (sinceSeconds === undefined) this.remove();
      else this.set(nowSeconds() - sinceSeconds);
    },
  });
  const refused = new Counter({
    name: 'sallyport_agent_bundle_refused_total',
    help: 'Bundles that were refused, by reason; the last good one stayed in force.',
    labelNames: ['code'],
    registers,
  });
  return {
    onBundle: (digest, atSeconds) => {
      sinceSeconds = atSeconds;
      info.reset();
      info.set({ digest }, 1);
    },
    onBundleRefused: (code) => refused.inc({ code }),
  };
}

interface ScrapedCounter<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  readonly read: (set: (labels: Readonly<Record<L, string>>, value: number) => void) => void;
}

/** Registers a counter whose values are read when it is scraped. */
function registerScraped<L extends string>(registry: Registry, { read, labelNames, ...names }: ScrapedCounter<L>): void {
  new Counter({
    ...names,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      read((labels, value) => this.inc({ ...labels }, value));
    },
  });
}
