/*
 * Measures the time from `apply` of a policy to the kubelet resync annotation on the pod, and the cost of many workloads, with a real
 * API server and the controller as a separate process. No kubelet runs the pods. `node test/bench/publish.ts [--quick]`.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { BUNDLE_LABEL, BUNDLE_TOUCH_ANNOTATION } from '../../src/api/kube/names.ts';
import { listObjects } from '../../src/cluster/list-objects.ts';
import { CONFIG_MAPS, PODS } from '../../src/cluster/paths.ts';
import { startControlPlane } from '../cluster/control-plane.ts';
import { startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const quick = process.argv.includes('--quick');
const SAMPLES = quick ? 20 : 200;
const WORKLOADS = quick ? 50 : 500;
const PATIENCE_MS = 120_000;
const never = new AbortController().signal;

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const rule = (method: string): object => ({ rules: [{ to: [{ operation: { methods: [method] } }] }] });

/** Milliseconds from the API server's response to the apply until the pod's annotation has the digest of the new bundle. */
async function measureOne(cluster: PolicyCluster, method: string): Promise<number> {
  const before = (await cluster.readPod('bench', 'p0'))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION];
  await cluster.policy('AuthorizationPolicy', 'bench', 'bench', { selector: { matchLabels: { app: 'p0' } }, ...rule(method) });
  const startedMs = performance.now();
  while ((await cluster.readPod('bench', 'p0'))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] === before) await delay(1);
  return performance.now() - startedMs;
}

async function digestsOf(cluster: PolicyCluster, what: 'bundles' | 'pods'): Promise<ReadonlySet<string>> {
  const digests = new Set<string>();
  const collection = what === 'bundles' ? { resource: CONFIG_MAPS, labelSelector: BUNDLE_LABEL } : { resource: PODS };
  const annotation = what === 'bundles' ? 'sallyport.dev/digest' : BUNDLE_TOUCH_ANNOTATION;
  await listObjects(cluster.client, collection, (object) => void digests.add(object.metadata?.annotations?.[annotation] ?? ''), never);
  return digests;
}

/** Milliseconds until every bundle, and then every pod, has a new digest. */
async function measureAll(cluster: PolicyCluster, method: string): Promise<readonly [bundles: number, pods: number]> {
  const old = await digestsOf(cluster, 'pods');
  const startedMs = performance.now();
  await cluster.policy('AuthorizationPolicy', 'mesh', 'istio-system', rule(method));
  const took: number[] = [];
  for (const what of ['bundles', 'pods'] as const) {
    const isNew = async (): Promise<boolean> => [...(await digestsOf(cluster, what))].every((digest) => !old.has(digest));
    while (!(await isNew())) await delay(20);
    took.push(performance.now() - startedMs);
  }
  return [took[0] ?? Number.NaN, took[1] ?? Number.NaN];
}

function residentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const controlPlane = await startControlPlane();
try {
  const cluster = await openPolicyCluster(controlPlane.kubeconfigPath);
  for (const name of ['bench', 'istio-system', 'sallyport-system']) await cluster.namespace(name);
  const controller = await startController({
    kubeconfig: controlPlane.kubeconfigPath,
    name: 'bench',
    namespace: 'sallyport-system',
    level: 'info',
  });
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  await cluster.pod({ namespace: 'bench', name: 'p0', labels: { app: 'p0' } });
  await until(
    async () => (await cluster.readPod('bench', 'p0'))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION] !== undefined,
    'the first resync annotation',
    PATIENCE_MS,
  );
  const samples: number[] = [];
  for (let index = 0; index < SAMPLES; index += 1) samples.push(await measureOne(cluster, `M${index}`));
  samples.sort((left, right) => left - right);
  process.stdout.write(
    `policy applied -> pod annotated, 1 workload, ${SAMPLES} samples: p50 ${quantile(samples, 0.5).toFixed(1)} ms, p99 ${quantile(samples, 0.99).toFixed(1)} ms\n`,
  );

  for (let index = 1; index < WORKLOADS; index += 1)
    await cluster.pod({ namespace: 'bench', name: `p${index}`, labels: { app: `p${index}` } });
  await until(async () => !(await digestsOf(cluster, 'pods')).has(''), 'a resync annotation on every pod', PATIENCE_MS);
  const [bundles, pods] = await measureAll(cluster, 'MESH');
  process.stdout.write(
    `mesh-wide policy, ${WORKLOADS} workloads of one pod: bundles ${bundles.toFixed(0)} ms, pods annotated ${pods.toFixed(0)} ms\n`,
  );
  process.stdout.write(
    `controller RSS with ${WORKLOADS} workloads: ${residentMib(controller.pid).toFixed(0)} MiB, event loop delay p99 ${(((await controller.metric('nodejs_eventloop_lag_p99_seconds')) ?? 0) * 1000).toFixed(1)} ms\n`,
  );
  const { tookMs } = await controller.stop();
  process.stdout.write(`SIGTERM to exit: ${tookMs} ms\n`);
  await cluster.close();
} finally {
  await controlPlane.stop();
}
