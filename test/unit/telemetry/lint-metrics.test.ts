/*
 * `promtool check metrics` finds nothing in the scrapes of agent, controller and webhook, with every metric in use.
 */
import { expect } from 'chai';
import { createAgentMetrics } from '../../../src/telemetry/agent-metrics.ts';
import { createControllerMetrics } from '../../../src/telemetry/controller-metrics.ts';
import { createWebhookMetrics } from '../../../src/telemetry/webhook-metrics.ts';
import { lintMetrics, parseMetrics } from '../../support/lint-metrics.ts';

describe('the rules of promtool', () => {
  const found = (text: string): readonly string[] => lintMetrics(text).map((line) => line.replace(/^\S+: /, ''));
  const gauge = (name: string): string => `# HELP ${name} help\n# TYPE ${name} gauge\n${name} 1\n`;

  for (const [text, problem] of [
    ['# TYPE a gauge\na 1\n', 'no help text'],
    ['# HELP a help\n# TYPE a counter\na 1\n', 'counter metrics should have "_total" suffix'],
    [gauge('a_total'), 'non-counter metrics should not have "_total" suffix'],
    [gauge('a_milliseconds'), 'not a base unit'],
    [gauge('a_minutes'), 'not a base unit'],
    [gauge('a_bucket'), 'non-histogram metrics should not have "_bucket" suffix'],
    [gauge('a_count'), 'should not have the suffix of a histogram or summary'],
    [gauge('a_gauge'), 'metric name should not include its type'],
    [gauge('a:b'), 'metric names should not contain ":"'],
    [gauge('aB'), 'metric names should be written in snake_case'],
    [gauge('a_ms'), 'metric names should not contain abbreviated units'],
    ['# HELP a help\n# TYPE a gauge\na{le="1"} 1\n', 'non-histogram metrics should not have "le" label'],
    ['# HELP a help\n# TYPE a gauge\na{aB="1"} 1\n', 'label names should be written in snake_case'],
    ['# HELP a help\n# TYPE a gauge\na{b="1",c="2"} 1\na{c="2",b="1"} 1\n', 'metric not unique'],
    ['# HELP a_total help\n# TYPE a_total counter\na_total -1\n', 'a counter is not negative'],
  ] as const) {
    it(`find: ${problem}`, () => {
      expect(found(text)).to.deep.equal([problem]);
    });
  }

  it('find nothing in ordinary metrics', () => {
    expect(
      found(`${gauge('a_seconds')}# HELP b help\n# TYPE b histogram\nb_bucket{le="1"} 0\nb_bucket{le="+Inf"} 1\nb_sum 2\nb_count 1\n`),
    ).to.deep.equal([]);
  });

  for (const text of [
    'a 1',
    'a\n',
    'a{b="c"d} 1\n',
    'a{b="\n"} 1\n',
    '1a 1\n',
    'a x\n',
    '# TYPE a number\n',
    `${gauge('a')}${gauge('b')}a 2\n`,
  ]) {
    it(`cannot be applied to ${JSON.stringify(text)}`, () => {
      expect(() => parseMetrics(text)).to.throw();
    });
  }
});

describe('promtool finds nothing in the metrics', () => {
  it('of the agent', () => {
    const metrics = createAgentMetrics(() => 5, true);
    metrics.onDecision('allow', 'allow-rule');
    metrics.onTcpConnection('allow', 'allow-rule');
    for (const action of ['allow', 'deny'] as const) {
      metrics.onPolicyDecision({ namespace: 'foo', name: 'a.b-c' }, action);
      metrics.onPolicyDecision(undefined, action);
    }
    metrics.onDryRun(undefined, 'would_deny');
    metrics.onDecisionSeconds(1e-7);
    metrics.onExchangeSeconds(100);
    metrics.onResponse(2);
    metrics.onConnectionOpened();
    metrics.onConnectionClosed('client');
    metrics.onRevoked('denied');
    metrics.onBundle('sha256:a', 1);
    metrics.onBundleRefused('SP_BUNDLE_SCHEMA');
    metrics.onTlsHandshake('ok', '1.3');
    metrics.onTlsCertificate(2);

    expect(parseMetrics(metrics.text()).filter(({ samples }) => samples.length === 0)).to.deep.equal([]);
    expect(lintMetrics(metrics.text())).to.deep.equal([]);
  });

  it('of controller and webhook', async () => {
    const metrics = createControllerMetrics({ version: '1.2.3' });
    createWebhookMetrics(metrics.registry);
    metrics.queue('reconcile');
    metrics.workers('reconcile', 1);
    metrics.observe({
      bundles: () => ({ published: 1 }),
      policies: () => [{ kind: 'AuthorizationPolicy', valid: true, count: 1 }],
      workloads: () => ({ withAgent: 1, withoutAgent: 2 }),
      signingKeysUsable: () => true,
      keyAges: () => [{ namespaces: ['quoted"\\'], ageSeconds: 1 }],
      running: () => ({ reconcile: [1] }),
    });

    expect(lintMetrics(await metrics.registry.metrics())).to.deep.equal([]);
  });
});
