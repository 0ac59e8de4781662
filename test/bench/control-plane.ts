/*
 * What the controller needs for many workloads, on a real API server without kubelets: cold start, restart, edits of one workload alone and
 * during a change of the whole mesh, relabelled pods, webhooks, memory. Needs `npm run build`.
 *
 * `node test/bench/control-plane.ts [--namespaces 100] [--workloads 10] [--pods 10] [--phases cold,restart,edit,mesh,relabel,webhook]
 * [--entry FILE]`. `--entry` measures another build; `--profile DIR` writes a CPU profile of each controller there.
 */
import { Agent, request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createKubeClient, type KubeClient } from '../../src/cluster/client.ts';
import { objectPath, PODS } from '../../src/cluster/paths.ts';
import { startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import {
  allKeys,
  type ClusterSize,
  fillCluster,
  keyOfWorkload,
  meshSpec,
  namespaceOf,
  parallel,
  podName,
  type WrittenWatch,
  watchWritten,
  workloadSpec,
  writePolicy,
} from '../support/loaded-cluster.ts';
import { openPolicyCluster } from '../support/policy-cluster.ts';
import { cpuMicros, rssMiB } from './support/processes.ts';

const PATIENCE_MS = 300_000;
const SYSTEM = 'sallyport-system';
const WEBHOOK_PORT = 29_443;

const { values } = parseArgs({
  options: {
    namespaces: { type: 'string', default: '100' },
    workloads: { type: 'string', default: '10' },
    pods: { type: 'string', default: '10' },
    phases: { type: 'string', default: 'cold,restart,edit,mesh,relabel,webhook' },
    entry: { type: 'string', default: fileURLToPath(new URL('../../dist/controller.mjs', import.meta.url)) },
    profile: { type: 'string', default: '' },
  },
});
const size: ClusterSize = { namespaces: Number(values.namespaces), workloads: Number(values.workloads), pods: Number(values.pods) };
const total = size.namespaces * size.workloads;
const phases = new Set(values.phases.split(','));
let marks = 0;

/** What is measured. */
interface Bench {
  readonly client: KubeClient;
  readonly watch: WrittenWatch;
  readonly kubeconfig: string;
}

function print(phase: string, figures: Readonly<Record<string, number | string>>): void {
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${typeof value === 'number' ? Number(value.toFixed(1)) : value}`);
  process.stdout.write(`${phase.padEnd(18)} ${shown.join(', ')}\n`);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  return `p50 ${quantile(values, 0.5).toFixed(1)} p99 ${quantile(values, 0.99).toFixed(1)} ms`;
}

/** Counters of requests to the API server, and of what was done. */
async function counters(controller: ControllerProcess): Promise<Readonly<Record<string, number>>> {
  const { text } = await controller.get('/metrics');
  const counts: Record<string, number> = {};
  const add = (name: string, value: number): void => {
    counts[name] = (counts[name] ?? 0) + value;
  };
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === 'rest_client_requests_total') add(/method="(\w+)"/.exec(labels)?.[1] ?? '', Number(value));
    if (name === 'sallyport_pod_touch_total') add('touches', Number(value));
    if (name === 'sallyport_status_write_total' && labels.includes('updated')) add('statuses', Number(value));
    if (name === 'sallyport_bundle_compile_seconds_count') add('compiled', Number(value));
  }
  return counts;
}

/** CPU seconds, requests and work of a phase. */
async function cost(controller: ControllerProcess, run: () => Promise<void>): Promise<Readonly<Record<string, number>>> {
  const before = await counters(controller);
  const startedMicros = cpuMicros(controller.pid);
  await run();
  const cpuSeconds = (cpuMicros(controller.pid) - startedMicros) / 1e6;
  const after = await counters(controller);
  const deltas = Object.entries(after).map(([name, value]): readonly [string, number] => [name, value - (before[name] ?? 0)]);
  return { 'CPU s': cpuSeconds, ...Object.fromEntries(deltas.filter(([, value]) => value !== 0)) };
}

/** Waits until the controller has nothing left to do. */
async function untilQuiet(controller: ControllerProcess): Promise<void> {
  const queues = ['workload', 'policy-status', 'pod-touch'];
  const isQuiet = async (): Promise<boolean> => {
    const { text } = await controller.get('/metrics');
    return queues.every((queue) => !new RegExp(`^workqueue_depth\\{name="${queue}"\\} [1-9]`, 'm').test(text));
  };
  for (let quiet = 0; quiet < 8; quiet = (await isQuiet()) ? quiet + 1 : 0) await delay(250);
}

async function start(bench: Bench, webhook = false): Promise<ControllerProcess> {
  const env: Record<string, string> = webhook
    ? {
        SALLYPORT_WEBHOOK: 'true',
        SALLYPORT_WEBHOOK_HOST: '127.0.0.1',
        SALLYPORT_WEBHOOK_PORT: String(WEBHOOK_PORT),
        SALLYPORT_AGENT_IMAGE: 'example/agent:1',
      }
    : {};
  const profile = values.profile === '' ? '' : ` --cpu-prof --cpu-prof-dir=${values.profile}`;
  return await startController({
    kubeconfig: bench.kubeconfig,
    name: 'bench',
    namespace: SYSTEM,
    entry: values.entry,
    level: 'info',
    env: { NODE_OPTIONS: `--max-semi-space-size=2 --max-old-space-size=512${profile}`, ...env },
  });
}

async function isLeader(controller: ControllerProcess): Promise<boolean> {
  return (await controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1;
}

async function startUntilQuiet(bench: Bench, phase: string): Promise<ControllerProcess> {
  const startedMs = performance.now();
  const controller = await start(bench);
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  const readyMs = performance.now() - startedMs;
  await until(() => bench.watch.bundles.size >= total, 'all bundles', PATIENCE_MS);
  const bundlesMs = performance.now() - startedMs;
  await until(() => isLeader(controller), 'leadership', PATIENCE_MS);
  await untilQuiet(controller);
  const done = await counters(controller);
  print(phase, {
    'ready s': readyMs / 1000,
    'all bundles s': bundlesMs / 1000,
    'CPU s': cpuMicros(controller.pid) / 1e6,
    'RSS MiB': rssMiB(controller.pid),
    ...done,
  });
  return controller;
}

function editWorkload({ client, watch }: Bench, at: number): ReturnType<WrittenWatch['edit']> {
  const place = { namespace: namespaceOf(size, at), name: `w${at}` };
  return watch.edit([keyOfWorkload(size, at)], () => writePolicy(client, place, workloadSpec(at, `m${marks++}`)));
}

function editMesh({ client, watch }: Bench): ReturnType<WrittenWatch['edit']> {
  return watch.edit(allKeys(size), () => writePolicy(client, { namespace: 'istio-system', name: 'mesh' }, meshSpec(`m${marks++}`)));
}

async function measureEdits(bench: Bench, controller: ControllerProcess): Promise<void> {
  const times: number[] = [];
  const spent = await cost(controller, async () => {
    for (let at = 0; at < 30; at += 1) {
      times.push((await editWorkload(bench, (at * 17) % total)).lastBundle);
      await delay(200);
    }
    await untilQuiet(controller);
  });
  print('30 edits', { bundle: spread(times), ...spent });
}

async function measureMesh(bench: Bench, controller: ControllerProcess): Promise<void> {
  const during: number[] = [];
  const spent = await cost(controller, async () => {
    const startedMs = performance.now();
    const mesh = editMesh(bench);
    for (let at = 0; at < 10; at += 1) {
      await delay(300);
      during.push((await editWorkload(bench, (at * 29 + 500) % total)).lastBundle);
    }
    const { firstBundle, lastBundle } = await mesh;
    await until(() => bench.watch.untouched() === 0, 'all pods to be annotated', PATIENCE_MS);
    print('mesh edit', {
      'first bundle ms': firstBundle,
      'last bundle s': lastBundle / 1000,
      'last pod s': (performance.now() - startedMs) / 1000,
      'other edits': spread(during),
    });
    await untilQuiet(controller);
  });
  print('', { ...spent, 'RSS MiB': rssMiB(controller.pid) });
}

async function measureRelabels({ client }: Bench, controller: ControllerProcess): Promise<void> {
  const spent = await cost(controller, async () => {
    await parallel(2_000, 8, (at) => {
      const path = objectPath({ resource: PODS, ...podName(size, (at * 97) % (total * size.pods)) });
      const body = { metadata: { labels: { churn: `c${at}` } } };
      return client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json', discard: true, timeoutMs: 60_000 });
    });
    await untilQuiet(controller);
  });
  print('2,000 relabels', spent);
}

/** As of an API server, which keeps its connections. */
const connections = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });

/** Milliseconds of one review, sent to the webhook itself. */
function review(path: string, object: object): Promise<number> {
  const body = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', operation: 'CREATE', namespace: 'ns-0', object },
  });
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: '127.0.0.1',
        port: WEBHOOK_PORT,
        path,
        method: 'POST',
        agent: connections,
        headers: { 'content-type': 'application/json' },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(performance.now() - startedMs));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends 50 reviews a second, half of them of pods. */
async function reviews(seconds: number): Promise<string> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'd', namespace: 'ns-0', labels: { app: 'x' } },
    spec: { containers: [{ name: 'app', image: 'x/y:1', ports: [{ containerPort: 8080 }] }] },
  };
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'q', namespace: 'ns-0' },
    spec: workloadSpec(1, 'webhook'),
  };
  const sent: Promise<number>[] = [];
  const startedMs = performance.now();
  for (let at = 0; at < seconds * 50; at += 1) {
    await delay(Math.max(0, startedMs + at * 20 - performance.now()));
    sent.push(at % 2 === 0 ? review('/mutate', pod) : review('/validate', policy));
  }
  return spread(await Promise.all(sent));
}

async function measureWebhook(bench: Bench): Promise<void> {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'sallyport-webhook' }, type: 'Opaque' };
  await bench.client.request({ method: 'POST', path: `/api/v1/namespaces/${SYSTEM}/secrets`, body: secret }).catch(() => undefined);
  const controller = await start(bench, true);
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  await until(() => isLeader(controller), 'leadership', PATIENCE_MS);
  await untilQuiet(controller);
  const quiet = await reviews(10);
  const [busy] = await Promise.all([reviews(10), delay(500).then(() => editMesh(bench))]);
  const lag = ((await controller.metric('nodejs_eventloop_lag_p99_seconds')) ?? 0) * 1000;
  print('webhook', { quiet, 'during a mesh edit': busy, 'event loop p99 ms': lag });
  connections.destroy();
  await controller.stop();
}

async function measure(bench: Bench): Promise<void> {
  let controller = await startUntilQuiet(bench, 'cold start');
  if (phases.has('restart')) {
    await controller.stop();
    controller = await startUntilQuiet(bench, 'restart');
  }
  if (phases.has('edit')) await measureEdits(bench, controller);
  if (phases.has('mesh')) await measureMesh(bench, controller);
  if (phases.has('relabel')) await measureRelabels(bench, controller);
  await controller.stop();
  if (phases.has('webhook')) await measureWebhook(bench);
}

const controlPlane = await startControlPlane();
try {
  const kubeconfig = controlPlane.kubeconfigPath;
  const cluster = await openPolicyCluster(kubeconfig);
  for (const name of ['istio-system', SYSTEM]) await cluster.namespace(name);
  const client = createKubeClient({ kubeconfig, version: 'bench', qps: 5_000, burst: 5_000 });
  const watch = await watchWritten(client);
  const first = await start({ client, watch, kubeconfig });
  // It makes the signing keys, which the agents of the pods are to trust.
  await until(async () => (await first.metric('sallyport_signing_keys_usable')) === 1, 'the signing keys', PATIENCE_MS);
  await first.stop();
  const startedMs = performance.now();
  await fillCluster(client, size);
  print('filled', { workloads: total, pods: total * size.pods, seconds: (performance.now() - startedMs) / 1000 });
  await measure({ client, watch, kubeconfig });
  await watch.stop();
  await client.close();
  await cluster.close();
} finally {
  await controlPlane.stop();
}
