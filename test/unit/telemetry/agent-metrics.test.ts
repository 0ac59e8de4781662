import { expect } from 'chai';
import { createAgentMetrics } from '../../../src/telemetry/agent-metrics.ts';

/** The sample lines of one metric, without its HELP and TYPE lines. */
function samples(text: string, name: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`) || line.startsWith(`${name}_`));
}

function headers(text: string): readonly string[] {
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
}

describe('agent metrics', () => {
  it('have the names and types that dashboards use', () => {
    expect(headers(createAgentMetrics(() => 0, false).text())).to.deep.equal([
      'sallyport_agent_decisions_total counter',
      'sallyport_agent_tcp_connections_total counter',
      'sallyport_agent_tcp_received_bytes_total counter',
      'sallyport_agent_tcp_sent_bytes_total counter',
      'sallyport_agent_policy_decisions_total counter',
      'sallyport_agent_dry_run_decisions_total counter',
      'sallyport_agent_responses_total counter',
      'sallyport_agent_decision_seconds histogram',
      'sallyport_agent_request_seconds histogram',
      'sallyport_agent_upstream_failures_total counter',
      'sallyport_agent_connections gauge',
      'sallyport_agent_connections_closed_total counter',
      'sallyport_agent_streams_revoked_total counter',
      'sallyport_agent_connections_refused_total counter',
      'sallyport_agent_blocked_connections_total counter',
      'sallyport_agent_token_verifications_total counter',
      'sallyport_agent_spans_total counter',
      'sallyport_agent_profiles_total counter',
      'sallyport_agent_token_cache_bytes gauge',
      'sallyport_agent_token_cache_entries gauge',
      'sallyport_agent_token_cache_evictions_total counter',
      'sallyport_agent_waiting_evaluations gauge',
      'sallyport_agent_access_log_dropped_total counter',
      'sallyport_agent_log_dropped_total counter',
      'sallyport_agent_limit_reached_total counter',
      'sallyport_agent_bundle_info gauge',
      'sallyport_agent_bundle_age_seconds gauge',
      'sallyport_agent_bundle_refused_total counter',
      'sallyport_agent_tls_handshakes_total counter',
      'sallyport_agent_tls_certificate_expiry_timestamp_seconds gauge',
      'sallyport_agent_tls_certificate_refused_total counter',
    ]);
  });

  it('include those of the process when asked to', () => {
    const text = createAgentMetrics(() => 0, true).text();
    expect(headers(text).slice(-4)).to.deep.equal([
      'process_cpu_seconds_total counter',
      'process_start_time_seconds gauge',
      'process_resident_memory_bytes gauge',
      'nodejs_heap_size_used_bytes gauge',
    ]);
    expect(Number(samples(text, 'process_resident_memory_bytes')[0]?.split(' ')[1])).to.be.greaterThan(1_000_000);
    const startSeconds = Number(samples(text, 'process_start_time_seconds')[0]?.split(' ')[1]);
    expect(startSeconds).to.be.closeTo(Date.now() / 1000 - process.uptime(), 5);
  });

  it('count spans by what became of them', () => {
    const metrics = createAgentMetrics(() => 0, false);
    metrics.onSpans('exported', 3);
    metrics.onSpans('dropped', 1);
    metrics.onSpans('exported', 2);
    expect(samples(metrics.text(), 'sallyport_agent_spans_total')).to.deep.equal([
      'sallyport_agent_spans_total{result="exported"} 5',
      'sallyport_agent_spans_total{result="dropped"} 1',
    ]);
  });

  it('count TCP connections by action and reason, and their bytes', () => {
    const metrics = createAgentMetrics(() => 0, false);
    metrics.onTcpConnection('deny', 'deny-rule');
    metrics.onTcpBytes(3, 5);
    metrics.onTcpBytes(10, 20);
    expect(samples(metrics.text(), 'sallyport_agent_tcp_connections_total')).to.deep.equal([
      'sallyport_agent_tcp_connections_total{action="deny",reason="deny-rule"} 1',
    ]);
    expect(samples(metrics.text(), 'sallyport_agent_tcp_received_bytes_total')).to.deep.equal([
      'sallyport_agent_tcp_received_bytes_total 13',
    ]);
    expect(samples(metrics.text(), 'sallyport_agent_tcp_sent_bytes_total')).to.deep.equal(['sallyport_agent_tcp_sent_bytes_total 25']);
  });

  it('count decisions by action and reason', () => {
    const metrics = createAgentMetrics(() => 0, false);
    expect(samples(metrics.text(), 'sallyport_agent_decisions_total')).to.deep.equal([]);
    metrics.onDecision('allow', 'allow-rule');
    metrics.onDecision('allow', 'allow-rule');
    metrics.onDecision('allow', 'no-allow-policy');
    metrics.onDecision('closed', 'no-bundle');
    expect(samples(metrics.text(), 'sallyport_agent_decisions_total')).to.deep.equal([
      'sallyport_agent_decisions_total{action="allow",reason="allow-rule"} 2',
      'sallyport_agent_decisions_total{action="allow",reason="no-allow-policy"} 1',
      'sallyport_agent_decisions_total{action="closed",reason="no-bundle"} 1',
    ]);
  });

  it('count responses by status class, and clients that left first', () => {
    const metrics = createAgentMetrics(() => 0, false);
    for (const statusClass of [2, 2, 5, 0]) metrics.onResponse(statusClass);
    expect(samples(metrics.text(), 'sallyport_agent_responses_total')).to.deep.equal([
      'sallyport_agent_responses_total{class="client_left"} 1',
      'sallyport_agent_responses_total{class="1xx"} 0',
      'sallyport_agent_responses_total{class="2xx"} 2',
      'sallyport_agent_responses_total{class="3xx"} 0',
      'sallyport_agent_responses_total{class="4xx"} 0',
      'sallyport_agent_responses_total{class="5xx"} 1',
    ]);
  });

  it('ignore a status class that HTTP does not have', () => {
    const metrics = createAgentMetrics(() => 0, false);
    const before = metrics.text();
    for (const statusClass of [-1, 6, 9, Number.NaN]) metrics.onResponse(statusClass);
    expect(metrics.text()).to.equal(before);
  });

  it('count single events, and open connections up and down', () => {
    const metrics = createAgentMetrics(() => 0, false);
    metrics.onUpstreamFailure();
    metrics.onConnectionRefused();
    metrics.onBlocked();
    metrics.onBlocked();
    for (let opened = 0; opened < 3; opened += 1) metrics.onConnectionOpened();
    metrics.onConnectionClosed('idle');
    const text = metrics.text();
    expect(samples(text, 'sallyport_agent_upstream_failures_total')).to.deep.equal(['sallyport_agent_upstream_failures_total 1']);
    expect(samples(text, 'sallyport_agent_connections_refused_total')).to.deep.equal(['sallyport_agent_connections_refused_total 1']);
    expect(samples(text, 'sallyport_agent_blocked_connections_total')).to.deep.equal(['sallyport_agent_blocked_connections_total 2']);
    expect(text).to.include('\nsallyport_agent_connections 2\n');
  });

  it('observe decision and request times in seconds', () => {
    const metrics = createAgentMetrics(() => 0, false);
    metrics.onDecisionSeconds(0.000_002);
    metrics.onExchangeSeconds(0.3);
    const text = metrics.text();
    expect(samples(text, 'sallyport_agent_decision_seconds')).to.include.members([
      'sallyport_agent_decision_seconds_bucket{le="0.000001"} 0',
      'sallyport_agent_decision_seconds_bucket{le="0.000002"} 1',
      'sallyport_agent_decision_seconds_count 1',
    ]);
    expect(samples(text, 'sallyport_agent_request_seconds')).to.include.members([
      'sallyport_agent_request_seconds_bucket{le="0.25"} 0',
      'sallyport_agent_request_seconds_bucket{le="0.5"} 1',
      'sallyport_agent_request_seconds_sum 0.3',
    ]);
  });

  it('show the active bundle and its age, and nothing before the first one', () => {
    let nowSeconds = 100;
    const metrics = createAgentMetrics(() => nowSeconds, false);
    expect(samples(metrics.text(), 'sallyport_agent_bundle')).to.deep.equal([]);

    metrics.onBundle('sha256:a', 100);
    nowSeconds = 130;
    expect(samples(metrics.text(), 'sallyport_agent_bundle')).to.deep.equal([
      'sallyport_agent_bundle_info{digest="sha256:a"} 1',
      'sallyport_agent_bundle_age_seconds 30',
    ]);

    metrics.onBundle('sha256:b', 130);
    expect(samples(metrics.text(), 'sallyport_agent_bundle')).to.deep.equal([
      'sallyport_agent_bundle_info{digest="sha256:b"} 1',
      'sallyport_agent_bundle_age_seconds 0',
    ]);
  });

  it('count rejected bundles by error code, and keep the active one', () => {
    const metrics = createAgentMetrics(() => 0, false);
    metrics.onBundle('sha256:a', 0);
    metrics.onBundleRefused('SP_BUNDLE_SCHEMA');
    metrics.onBundleRefused('SP_BUNDLE_SCHEMA');
    expect(samples(metrics.text(), 'sallyport_agent_bundle')).to.deep.equal([
      'sallyport_agent_bundle_info{digest="sha256:a"} 1',
      'sallyport_agent_bundle_age_seconds 0',
      'sallyport_agent_bundle_refused_total{code="SP_BUNDLE_SCHEMA"} 2',
    ]);
  });

  it('reads what is cached and what waits when it is rendered', () => {
    let waiting = 0;
    const tokens = { cachedBytes: () => 1000, cachedTokens: () => 2, evictedTokens: () => 3, waitingRequests: () => waiting };
    const metrics = createAgentMetrics(() => 0, false, tokens);
    metrics.onVerification();
    waiting = 4;

    const text = metrics.text();
    for (const [name, value] of [
      ['token_verifications_total', 1],
      ['token_cache_bytes', 1000],
      ['token_cache_entries', 2],
      ['token_cache_evictions_total', 3],
      ['waiting_evaluations', 4],
    ]) {
      expect(text).to.contain(`\nsallyport_agent_${name} ${value}\n`);
    }
  });
});
