import { expect } from 'chai';
import type { Registry } from 'prom-client';
import { createControllerMetrics } from '../../../src/telemetry/controller-metrics.ts';
import { createWebhookMetrics } from '../../../src/telemetry/webhook-metrics.ts';

/** The sample lines of one metric in a scrape. */
async function samples(registry: Registry, name: string): Promise<readonly string[]> {
  const text = await registry.getSingleMetricAsString(name);
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

const GAUGES = {
  bundles: () => ({ published: 3, pending: 1, refused: 0 }),
  policies: () => [
    { kind: 'AuthorizationPolicy', valid: true, count: 5 },
    { kind: 'AuthorizationPolicy', valid: false, count: 1 },
  ],
  workloads: () => ({ withAgent: 2, withoutAgent: 4 }),
  keyAges: () => [
    { namespaces: ['foo', 'bar'], ageSeconds: 12 },
    { namespaces: ['foo'], ageSeconds: 30 },
    { namespaces: ['never'], ageSeconds: undefined },
  ],
  signingKeysUsable: () => true,
  running: () => ({ reconcile: [1500, 500], status: [] }),
} as const;

describe('controller metrics', () => {
  it('have the names and labels that dashboards use', async () => {
    const metrics = createControllerMetrics({ version: '1.2.3' });
    metrics.queue('reconcile');
    metrics.workers('reconcile', 4);
    metrics.observe(GAUGES);
    const own = (await metrics.registry.getMetricsAsJSON()).map(({ name }) => name).filter((name) => !/^(process|nodejs)_/.test(name));
    expect(own.toSorted()).to.deep.equal([
      'controller_runtime_active_workers',
      'controller_runtime_max_concurrent_reconciles',
      'controller_runtime_reconcile_errors_total',
      'controller_runtime_reconcile_time_seconds',
      'controller_runtime_reconcile_total',
      'controller_runtime_terminal_reconcile_errors_total',
      'leader_election_master_status',
      'rest_client_requests_total',
      'sallyport_build_info',
      'sallyport_bundle_bytes',
      'sallyport_bundle_compile_seconds',
      'sallyport_bundle_publish_total',
      'sallyport_bundle_tampered_total',
      'sallyport_bundles',
      'sallyport_config_last_reload_successful',
      'sallyport_config_reload_total',
      'sallyport_jwks_age_seconds',
      'sallyport_jwks_fetch_total',
      'sallyport_log_dropped_total',
      'sallyport_pod_touch_total',
      'sallyport_policies',
      'sallyport_profiles_total',
      'sallyport_report_write_total',
      'sallyport_resync_changes_total',
      'sallyport_signing_keys_usable',
      'sallyport_spans_total',
      'sallyport_status_write_total',
      'sallyport_watch_restarts_total',
      'sallyport_workloads',
      'workqueue_adds_total',
      'workqueue_depth',
      'workqueue_longest_running_processor_seconds',
      'workqueue_queue_duration_seconds',
      'workqueue_retries_total',
      'workqueue_unfinished_work_seconds',
      'workqueue_work_duration_seconds',
    ]);
    expect(await metrics.text()).to.include('sallyport_build_info{version="1.2.3"} 1\n');
  });

  it('count events by their labels', async () => {
    const metrics = createControllerMetrics({ version: '0' });
    metrics.onRequest({ method: 'GET', code: '200', host: 'api' });
    metrics.onWatchRestart('pods', 'expired');
    metrics.onPublish('created');
    metrics.onPublish('created');
    metrics.onKeyFetch('failure', ['foo', 'bar']);
    metrics.onTouch('patched');
    metrics.onStatusWrite('written');
    metrics.onReportWrite('updated');
    metrics.onConfigReload('failure');
    metrics.onResync(2);
    const { registry } = metrics;
    expect(await samples(registry, 'rest_client_requests_total')).to.deep.equal([
      'rest_client_requests_total{code="200",method="GET",host="api"} 1',
    ]);
    expect(await samples(registry, 'sallyport_watch_restarts_total')).to.deep.equal([
      'sallyport_watch_restarts_total{resource="pods",reason="expired"} 1',
    ]);
    expect(await samples(registry, 'sallyport_bundle_publish_total')).to.deep.equal(['sallyport_bundle_publish_total{result="created"} 2']);
    expect(await samples(registry, 'sallyport_jwks_fetch_total')).to.deep.equal([
      'sallyport_jwks_fetch_total{result="failure",namespace="foo"} 1',
      'sallyport_jwks_fetch_total{result="failure",namespace="bar"} 1',
    ]);
    expect(await samples(registry, 'sallyport_pod_touch_total')).to.deep.equal(['sallyport_pod_touch_total{result="patched"} 1']);
    expect(await samples(registry, 'sallyport_status_write_total')).to.deep.equal(['sallyport_status_write_total{result="written"} 1']);
    expect(await samples(registry, 'sallyport_config_reload_total')).to.deep.equal(['sallyport_config_reload_total{result="failure"} 1']);
    expect(await samples(registry, 'sallyport_resync_changes_total')).to.deep.equal(['sallyport_resync_changes_total 2']);
  });

  it('show who leads, 0 until this replica does', async () => {
    const { registry, onLeader } = createControllerMetrics({ version: '0' });
    const leads = (): Promise<readonly string[]> => samples(registry, 'leader_election_master_status');
    expect(await leads()).to.deep.equal(['leader_election_master_status{name="sallyport-controller"} 0']);
    onLeader(true);
    expect(await leads()).to.deep.equal(['leader_election_master_status{name="sallyport-controller"} 1']);
    onLeader(false);
    expect(await leads()).to.deep.equal(['leader_election_master_status{name="sallyport-controller"} 0']);
  });

  it('show the lease by its name, which the alert of a release with another name selects', async () => {
    const { registry, onLeader } = createControllerMetrics({ version: '0', lease: 'guard-controller' });
    onLeader(true);

    expect(await samples(registry, 'leader_election_master_status')).to.deep.equal([
      'leader_election_master_status{name="guard-controller"} 1',
    ]);
  });

  it('convert milliseconds of compiling to seconds', async () => {
    const { registry, onCompile } = createControllerMetrics({ version: '0' });
    onCompile(30, 3000);
    expect(await samples(registry, 'sallyport_bundle_compile_seconds')).to.include('sallyport_bundle_compile_seconds_sum 0.03');
    expect(await samples(registry, 'sallyport_bundle_bytes')).to.include.members([
      'sallyport_bundle_bytes_bucket{le="2048"} 0',
      'sallyport_bundle_bytes_bucket{le="8192"} 1',
      'sallyport_bundle_bytes_sum 3000',
    ]);
  });

  it('follow a work queue under its name', async () => {
    const { registry, queue } = createControllerMetrics({ version: '0' });
    const observer = queue('reconcile');
    queue('status');
    observer.onAdd();
    observer.onDepth(1);
    observer.onTake(20);
    observer.onDone(500);
    observer.onRetry();
    expect(await samples(registry, 'workqueue_depth')).to.deep.equal([
      'workqueue_depth{name="reconcile"} 1',
      'workqueue_depth{name="status"} 0',
    ]);
    expect(await samples(registry, 'workqueue_adds_total')).to.deep.equal(['workqueue_adds_total{name="reconcile"} 1']);
    expect(await samples(registry, 'workqueue_retries_total')).to.deep.equal(['workqueue_retries_total{name="reconcile"} 1']);
    expect(await samples(registry, 'workqueue_queue_duration_seconds')).to.include(
      'workqueue_queue_duration_seconds_sum{name="reconcile"} 0.02',
    );
    expect(await samples(registry, 'workqueue_work_duration_seconds')).to.include(
      'workqueue_work_duration_seconds_sum{name="reconcile"} 0.5',
    );
  });

  it('follow workers, and count terminal errors and bugs as errors', async () => {
    const { registry, workers } = createControllerMetrics({ version: '0' });
    const observer = workers('reconcile', 4);
    observer.onActive(1);
    observer.onActive(1);
    observer.onActive(-1);
    for (const result of ['success', 'error', 'terminal_error', 'bug', 'requeue']) observer.onResult(result, 100);
    expect(await samples(registry, 'controller_runtime_active_workers')).to.deep.equal([
      'controller_runtime_active_workers{controller="reconcile"} 1',
    ]);
    expect(await samples(registry, 'controller_runtime_max_concurrent_reconciles')).to.deep.equal([
      'controller_runtime_max_concurrent_reconciles{controller="reconcile"} 4',
    ]);
    expect(await samples(registry, 'controller_runtime_reconcile_total')).to.have.members([
      'controller_runtime_reconcile_total{controller="reconcile",result="success"} 1',
      'controller_runtime_reconcile_total{controller="reconcile",result="error"} 3',
      'controller_runtime_reconcile_total{controller="reconcile",result="requeue"} 1',
    ]);
    expect(await samples(registry, 'controller_runtime_reconcile_errors_total')).to.deep.equal([
      'controller_runtime_reconcile_errors_total{controller="reconcile"} 3',
    ]);
    expect(await samples(registry, 'controller_runtime_terminal_reconcile_errors_total')).to.deep.equal([
      'controller_runtime_terminal_reconcile_errors_total{controller="reconcile"} 1',
    ]);
    expect(await samples(registry, 'controller_runtime_reconcile_time_seconds')).to.include(
      'controller_runtime_reconcile_time_seconds_count{controller="reconcile"} 5',
    );
  });

  it('read gauges at each scrape, and forget series that are gone', async () => {
    const { registry, observe } = createControllerMetrics({ version: '0' });
    let policies: readonly { kind: string; valid: boolean; count: number }[] = GAUGES.policies();
    observe({ ...GAUGES, policies: () => policies });
    expect(await samples(registry, 'sallyport_bundles')).to.deep.equal([
      'sallyport_bundles{state="published"} 3',
      'sallyport_bundles{state="pending"} 1',
      'sallyport_bundles{state="refused"} 0',
    ]);
    expect(await samples(registry, 'sallyport_workloads')).to.deep.equal([
      'sallyport_workloads{agent="true"} 2',
      'sallyport_workloads{agent="false"} 4',
    ]);
    expect(await samples(registry, 'sallyport_policies')).to.deep.equal([
      'sallyport_policies{kind="AuthorizationPolicy",valid="true"} 5',
      'sallyport_policies{kind="AuthorizationPolicy",valid="false"} 1',
    ]);
    policies = [];
    expect(await samples(registry, 'sallyport_policies')).to.deep.equal([]);
  });

  it('leave out the age of keys that were never fetched, and sum up keys in work', async () => {
    const { registry, observe } = createControllerMetrics({ version: '0' });
    observe(GAUGES);
    expect(await samples(registry, 'sallyport_jwks_age_seconds')).to.deep.equal([
      'sallyport_jwks_age_seconds{namespace="foo"} 30',
      'sallyport_jwks_age_seconds{namespace="bar"} 12',
    ]);
    expect(await samples(registry, 'workqueue_unfinished_work_seconds')).to.deep.equal([
      'workqueue_unfinished_work_seconds{name="reconcile"} 2',
      'workqueue_unfinished_work_seconds{name="status"} 0',
    ]);
    expect(await samples(registry, 'workqueue_longest_running_processor_seconds')).to.deep.equal([
      'workqueue_longest_running_processor_seconds{name="reconcile"} 1.5',
      'workqueue_longest_running_processor_seconds{name="status"} 0',
    ]);
  });
});

describe('webhook metrics', () => {
  it('count reviews by webhook, status and result', async () => {
    const { registry } = createControllerMetrics({ version: '0' });
    const metrics = createWebhookMetrics(registry);
    metrics.onReview({ webhook: '/mutate', code: 200, result: 'patched', durationMs: 20 });
    metrics.onReview({ webhook: '/mutate', code: 500, result: 'error', durationMs: 20 });
    expect(await samples(registry, 'controller_runtime_webhook_requests_total')).to.deep.equal([
      'controller_runtime_webhook_requests_total{webhook="/mutate",code="200"} 1',
      'controller_runtime_webhook_requests_total{webhook="/mutate",code="500"} 1',
    ]);
    expect(await samples(registry, 'sallyport_admission_reviews_total')).to.deep.equal([
      'sallyport_admission_reviews_total{webhook="/mutate",result="patched"} 1',
      'sallyport_admission_reviews_total{webhook="/mutate",result="error"} 1',
    ]);
    expect(await samples(registry, 'controller_runtime_webhook_latency_seconds')).to.include(
      'controller_runtime_webhook_latency_seconds_sum{webhook="/mutate"} 0.04',
    );
  });

  it('show when the certificate expires, in seconds', async () => {
    const { registry } = createControllerMetrics({ version: '0' });
    createWebhookMetrics(registry).onCertificate(1_700_000_000_500);
    expect(await samples(registry, 'sallyport_webhook_certificate_expiry_timestamp_seconds')).to.deep.equal([
      'sallyport_webhook_certificate_expiry_timestamp_seconds 1700000000.5',
    ]);
  });
});
