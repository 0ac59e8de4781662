import { expect } from 'chai';
import { type OpsServer, startOpsServer } from '../../../src/ops-server/ops-server.ts';
import { createControllerMetrics } from '../../../src/telemetry/controller-metrics.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

describe('operations server', () => {
  let server: OpsServer;
  let reason: string | undefined;
  const metrics = createControllerMetrics({ version: '1.2.3' });

  before(async () => {
    server = await startOpsServer({
      host: '127.0.0.1',
      port: 0,
      live: { ping: () => undefined },
      ready: { caches: () => reason, leader: () => undefined },
      metricsText: metrics.text,
      logger: createLogger({ level: 'silent', component: 'test' }),
    });
  });
  after(() => server.close());
  const get = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return `${response.status} ${await response.text()}`;
  };

  const cases: readonly { readonly path: string; readonly failing?: boolean; readonly answer: string }[] = [
    { path: '/healthz', failing: true, answer: '200 ok\n' },
    { path: '/readyz', answer: '200 ok\n' },
    { path: '/readyz', failing: true, answer: '503 [-]caches failed: not yet\n[+]leader ok\nreadyz check failed\n' },
    { path: '/readyz?verbose', answer: '200 [+]caches ok\n[+]leader ok\nreadyz check passed\n' },
    { path: '/readyz?exclude=caches', failing: true, answer: '200 ok\n' },
    { path: '/readyz/leader', failing: true, answer: '200 ok\n' },
    { path: '/readyz/caches', failing: true, answer: '503 [-]caches failed: not yet\nreadyz check failed\n' },
    { path: '/readyz/nothing', answer: '404 no such check\n' },
    { path: '/other', answer: '404 not found\n' },
    { path: '/readyz/a/b', answer: '404 not found\n' },
  ];
  for (const { path, failing, answer } of cases) {
    it(`answers ${path} with ${answer.slice(0, 3)}${failing === true ? ' while a check fails' : ''}`, async () => {
      reason = failing === true ? 'not yet' : undefined;
      expect(await get(path)).to.equal(answer);
    });
  }

  it('takes nothing but GET', async () => {
    expect(await get('/healthz', 'POST')).to.equal('405 only GET\n');
  });

  it('serves metrics under their usual names', async () => {
    const queue = metrics.queue('workload');
    queue.onAdd();
    queue.onDepth(3);
    queue.onTake(1_500);
    metrics.workers('workload', 4).onResult('terminal_error', 20);
    metrics.onRequest({ method: 'GET', code: '200', host: 'api' });
    metrics.onLeader(true);
    metrics.observe({
      bundles: () => ({ published: 2 }),
      policies: () => [{ kind: 'AuthorizationPolicy', valid: true, count: 5 }],
      workloads: () => ({ withAgent: 1, withoutAgent: 2 }),
      signingKeysUsable: () => true,
      keyAges: () => [
        { namespaces: ['foo'], ageSeconds: 7 },
        { namespaces: ['dead'], ageSeconds: undefined },
      ],
      running: () => ({ workload: [500, 2_000] }),
    });
    const text = await get('/metrics');

    for (const line of [
      'workqueue_adds_total{name="workload"} 1',
      'workqueue_depth{name="workload"} 3',
      'workqueue_queue_duration_seconds_sum{name="workload"} 1.5',
      'workqueue_unfinished_work_seconds{name="workload"} 2.5',
      'workqueue_longest_running_processor_seconds{name="workload"} 2',
      'controller_runtime_reconcile_total{controller="workload",result="error"} 1',
      'controller_runtime_terminal_reconcile_errors_total{controller="workload"} 1',
      'controller_runtime_max_concurrent_reconciles{controller="workload"} 4',
      'rest_client_requests_total{code="200",method="GET",host="api"} 1',
      'leader_election_master_status{name="sallyport-controller"} 1',
      'sallyport_bundles{state="published"} 2',
      'sallyport_policies{kind="AuthorizationPolicy",valid="true"} 5',
      'sallyport_workloads{agent="false"} 2',
      'sallyport_jwks_age_seconds{namespace="foo"} 7',
      'sallyport_build_info{version="1.2.3"} 1',
    ]) {
      expect(text).to.contain(`\n${line}\n`);
    }
    expect(text).not.to.contain('dead');
  });
});
