/*
 * docs/reference/metrics.md from the metric registries of agent and controller.
 */
import type { Registry } from 'prom-client';
import { createAgentMetrics } from '../../src/telemetry/agent-metrics.ts';
import { createControllerMetrics } from '../../src/telemetry/controller-metrics.ts';
import { createNodeMetrics } from '../../src/telemetry/node-metrics.ts';
import { createWebhookMetrics } from '../../src/telemetry/webhook-metrics.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

/** Members of a registered metric that prom-client's type omits. */
interface RegisteredMetric {
  readonly name: string;
  readonly labelNames?: readonly string[];
  readonly get: () => Promise<{ readonly type: unknown; readonly help: string }>;
}

/** Most series of one agent. Kept by test/unit/docs/metrics.test.ts. */
export const MOST_AGENT_SERIES = 710;

const SERIES = `An agent has at most ${MOST_AGENT_SERIES} series, whatever its policies and clients do. Policies are the only labels without a fixed set of
values. \`sallyport_agent_policy_decisions_total\` and \`sallyport_agent_dry_run_decisions_total\` have at most 200 series with the name of a
policy each: when all are in use, a series that has not counted since the active bundle was activated is dropped for a new one; without
one, the policy counts as \`policy="other"\`. \`policy="none"\` counts requests that no policy matched: with \`action="deny"\` those
that no ALLOW rule allowed, for which the [access log](access-log.md) names the nearest rule. A DENY, CUSTOM or JWT rule that refused a request
counts as \`deny\` or \`unauthenticated\`. A policy in dry-run counts as \`would_allow\` or \`would_deny\`, also for requests that another policy
denied. Requests that are refused before any policy, and those whose client leaves first, count only in \`sallyport_agent_decisions_total\`.
`;

/** Text of docs/reference/metrics.md. */
export async function metricsPage(): Promise<string> {
  const none = (): number => 0;
  const agent = createAgentMetrics(none, true, {
    cachedBytes: none,
    cachedTokens: none,
    evictedTokens: none,
    waitingRequests: none,
    identities: () => ({ size: 0, ageMs: 0 }),
  });
  // Labels are read from samples, and these metrics have none before their first event.
  agent.onDecision('allow', 'allow-rule');
  agent.onPolicyDecision(undefined, 'allow');
  agent.onDryRun(undefined, 'would_allow');
  agent.onConnectionClosed('client');
  agent.onRevoked('denied');
  agent.onBundle('', 0);
  agent.onBundleRefused('SP_BUNDLE_SCHEMA');
  const controller = createControllerMetrics({ version: '0' });
  createWebhookMetrics(controller.registry);
  controller.observe({
    bundles: () => ({}) as never,
    policies: () => [],
    workloads: () => ({ withAgent: 0, withoutAgent: 0 }),
    signingKeysUsable: () => true,
    keyAges: () => [],
    running: () => ({}),
  } as Parameters<typeof controller.observe>[0]);
  controller.feed({
    streams: () => 0,
    relayed: () => 0,
    isRelaying: () => false,
    doubled: () => 0,
    identities: () => 0,
    identityStreams: () => 0,
  });
  controller.queue('');
  controller.workers('', 0);
  return [
    GENERATED,
    '# Metrics\n\nIn the Prometheus text format on `/metrics`. No label takes a value that a request can choose.\n',
    `\n## Agent\n\nOn its admin port, 15020. Source: \`src/telemetry/agent-metrics.ts\`.\n\n${SERIES}\n${textTable(agent.text())}`,
    `\n## Controller\n\nOn its HTTP port, 8080. Names are those of client-go and controller-runtime where they have one; the metrics of Node.js (\`process_…\`, \`nodejs_…\`) are included, too. Source: \`src/telemetry/controller-metrics.ts\`, \`webhook-metrics.ts\`.\n\n${await registryTable(controller.registry)}`,
    `\n## Node\n\nOf the DaemonSet with \`capture.mode: node\`, on \`capture.node.httpPort\`. Source: \`src/telemetry/node-metrics.ts\`.\n\n${await registryTable(createNodeMetrics('0').registry)}`,
  ].join('');
}

/** Rows from a scrape in the Prometheus text format. */
function textTable(text: string): string {
  const typeByName = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const rows = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help = '']) => {
    const samples = text.split('\n').filter((line) => line.startsWith(`${name}{`));
    const labels = samples.flatMap((line) => [...line.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label));
    return [code(name), typeByName.get(name) ?? '', [...new Set(labels)].map(code).join(', '), help];
  });
  return markdownTable(
    ['name', 'type', 'labels', 'description'],
    rows.toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
  );
}

async function registryTable(registry: Registry): Promise<string> {
  const metrics = (registry.getMetricsAsArray() as unknown as readonly RegisteredMetric[]).filter(
    ({ name }) => !/^(process|nodejs)_/.test(name),
  );
  const rows = await Promise.all(
    metrics
      .toSorted((one, other) => (one.name < other.name ? -1 : 1))
      .map(async (metric) => {
        const { type, help } = await metric.get();
        return [code(metric.name), String(type), (metric.labelNames ?? []).map(code).join(', '), help];
      }),
  );
  return markdownTable(['name', 'type', 'labels', 'description'], rows);
}
