/*
 * What the controller needs for many workloads, on a real API server without kubelets: cold start, restart, edits of one workload alone, while
 * labels change and during an edit of the root policy, edits of the root policy, relabelled pods, webhooks, memory, and how the cost of one
 * edit grows with the cluster. Needs `npm run build`.
 *
 * `node test/bench/control-plane.ts [--namespaces 100] [--workloads 10] [--pods 10] [--phases cold,restart,edit,labels,mesh,repeat,relabel,webhook,growth]
 * [--edits 20] [--relabels 2000] [--qps 200] [--entry FILE]`. `--entry` measures another build; `--profile DIR` writes a CPU profile of each controller
 * there; `--qps` is the controller's limit of requests per second.
 */
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
import { cost, counters, print, spread, untilQuiet } from './support/controller-figures.ts';
import { LoopDelay } from './support/loop-delay.ts';
import { preferProcess } from './support/priorities.ts';
import { cpuMicros, peakRssMiB, rssMiB } from './support/processes.ts';
import { reviews, WEBHOOK_PORT } from './support/reviews.ts';

const PATIENCE_MS = 300_000;
const SYSTEM = 'sallyport-system';
/** Times that reviews are sent, alternately while nothing else happens and during an edit of the mesh. */
const REVIEW_ROUNDS = 3;

const { values } = parseArgs({
  options: {
    namespaces: { type: 'string', default: '100' },
    workloads: { type: 'string', default: '10' },
    pods: { type: 'string', default: '10' },
    phases: { type: 'string', default: 'cold,restart,edit,labels,mesh,repeat,relabel,webhook,growth' },
    edits: { type: 'string', default: '20' },
    relabels: { type: 'string', default: '2000' },
    qps: { type: 'string', default: '200' },
    entry: { type: 'string', default: fileURLToPath(new URL('../../dist/controller.mjs', import.meta.url)) },
    profile: { type: 'string', default: '' },
  },
});
const size: ClusterSize = { namespaces: Number(values.namespaces), workloads: Number(values.workloads), pods: Number(values.pods) };
const total = size.namespaces * size.workloads;
const phases = new Set(values.phases.split(','));
const loop = new LoopDelay();
let marks = 0;

/** What is measured. */
interface Bench {
  readonly client: KubeClient;
  readonly watch: WrittenWatch;
  readonly kubeconfig: string;
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
    env: {
      NODE_OPTIONS: `--max-semi-space-size=2 --max-old-space-size=512 ${loop.nodeOptions}${profile}`,
      ...loop.env,
      SALLYPORT_KUBE_API_QPS: values.qps,
      SALLYPORT_KUBE_API_BURST: String(2 * Number(values.qps)),
      ...env,
    },
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
    'peak MiB': peakRssMiB(controller.pid),
    'event loop p99 ms': await loop.read(controller.pid),
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

/** Edits one workload after another. @returns CPU milliseconds of one */
async function measureEdits(bench: Bench, controller: ControllerProcess, phase: string): Promise<number> {
  const edits = 30;
  const times: number[] = [];
  await loop.read(controller.pid);
  const spent = await cost(controller, async () => {
    for (let at = 0; at < edits; at += 1) {
      times.push((await editWorkload(bench, (at * 17) % total)).lastBundle);
      await delay(200);
    }
    await untilQuiet(controller);
  });
  const each = ((spent['CPU s'] ?? 0) * 1000) / edits;
  print(phase, { bundle: spread(times), 'CPU ms each': each, 'event loop p99 ms': await loop.read(controller.pid), ...spent });
  return each;
}

/** The same while pods get other labels, 100 a second. */
async function measureEditsAmongRelabels(bench: Bench, controller: ControllerProcess): Promise<void> {
  let isOver = false;
  const startedMs = performance.now();
  const relabelling = parallel(Number.MAX_SAFE_INTEGER, 1, async (at) => {
    if (isOver) throw new Error('over');
    await delay(Math.max(0, startedMs + at * 10 - performance.now()));
    await relabel(bench, at, 'churn');
  }).catch((error: unknown) => {
    if (!isOver) throw error;
  });
  await measureEdits(bench, controller, 'edits, relabels');
  isOver = true;
  await relabelling;
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
  print('', {
    ...spent,
    'event loop p99 ms': await loop.read(controller.pid),
    'RSS MiB': rssMiB(controller.pid),
    'peak MiB': peakRssMiB(controller.pid),
  });
}

/** Edits of the root policy, each after the last bundle of the one before; annotations of pods are left to the end. */
async function measureMeshEdits(bench: Bench, controller: ControllerProcess): Promise<void> {
  const edits = Number(values.edits);
  const times: number[] = [];
  let bundlesCpu = 0;
  await loop.read(controller.pid);
  const spent = await cost(controller, async () => {
    const startedMicros = cpuMicros(controller.pid);
    for (let at = 0; at < edits; at += 1) times.push((await editMesh(bench)).lastBundle);
    bundlesCpu = (cpuMicros(controller.pid) - startedMicros) / 1e6;
    await untilQuiet(controller);
  });
  print(`${edits} mesh edits`, {
    'last bundle': spread(times),
    'CPU s to the last bundle': bundlesCpu,
    'event loop p99 ms': await loop.read(controller.pid),
    ...spent,
  });
}

async function relabel({ client }: Bench, at: number, label: string): Promise<void> {
  const path = objectPath({ resource: PODS, ...podName(size, (at * 97) % (total * size.pods)) });
  const body = { metadata: { labels: { [label]: `c${at}` } } };
  await client.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json', discard: true, timeoutMs: 60_000 });
}

/** Gives pods a label. @returns CPU milliseconds of one */
async function measureRelabels(bench: Bench, controller: ControllerProcess, { count, label, phase }: Relabels): Promise<number> {
  const spent = await cost(controller, async () => {
    await parallel(count, 8, (at) => relabel(bench, at, label));
    await untilQuiet(controller);
  });
  const each = ((spent['CPU s'] ?? 0) * 1000) / count;
  print(phase, { 'CPU ms each': each, ...spent });
  return each;
}

interface Relabels {
  readonly count: number;
  readonly label: string;
  readonly phase: string;
}

/** CPU of one edit and of one relabel in a cluster three times as large. */
async function measureGrowth(bench: Bench, controller: ControllerProcess, small: readonly [edit: number, relabel: number]): Promise<void> {
  await fillCluster(bench.client, { ...size, namespaces: 3 * size.namespaces });
  await until(() => bench.watch.bundles.size >= 3 * total, 'all bundles', PATIENCE_MS);
  await untilQuiet(controller);
  const large = [
    await measureEdits(bench, controller, 'edits, 3 times'),
    await measureRelabels(bench, controller, { count: 200, label: 'version', phase: 'relabels, 3 times' }),
  ] as const;
  print('growth', { edit: large[0] / small[0], relabel: large[1] / small[1] });
}

async function measureWebhook(bench: Bench): Promise<void> {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'sallyport-webhook' }, type: 'Opaque' };
  await bench.client.request({ method: 'POST', path: `/api/v1/namespaces/${SYSTEM}/secrets`, body: secret }).catch(() => undefined);
  const controller = await start(bench, true);
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  await until(() => isLeader(controller), 'leadership', PATIENCE_MS);
  await untilQuiet(controller);
  await loop.read(controller.pid);
  const isPreferred = preferProcess(controller.pid, -5);
  const [quiet, busy]: [number[], number[]] = [[], []];
  for (let round = 0; round < REVIEW_ROUNDS; round += 1) {
    quiet.push(...(await reviews(10)));
    const [reviewed] = await Promise.all([reviews(10), delay(500).then(() => editMesh(bench))]);
    busy.push(...reviewed);
    await untilQuiet(controller);
  }
  print('webhook', {
    'goes before the API server': String(isPreferred),
    quiet: spread(quiet),
    'during a mesh edit': spread(busy),
    'event loop p99 ms': await loop.read(controller.pid),
    'RSS MiB': rssMiB(controller.pid),
    'peak MiB': peakRssMiB(controller.pid),
  });
  await controller.stop();
}

async function measure(bench: Bench): Promise<void> {
  let controller = await startUntilQuiet(bench, 'cold start');
  if (phases.has('restart')) {
    await controller.stop();
    controller = await startUntilQuiet(bench, 'restart');
  }
  const edit = phases.has('edit') || phases.has('growth') ? await measureEdits(bench, controller, 'edits') : 0;
  if (phases.has('labels')) await measureEditsAmongRelabels(bench, controller);
  if (phases.has('mesh')) await measureMesh(bench, controller);
  if (phases.has('repeat')) await measureMeshEdits(bench, controller);
  if (phases.has('relabel'))
    await measureRelabels(bench, controller, { count: Number(values.relabels), label: 'churn', phase: 'relabels, unselected' });
  if (phases.has('growth')) {
    const relabelled = await measureRelabels(bench, controller, { count: 200, label: 'version', phase: 'relabels' });
    await measureGrowth(bench, controller, [edit, relabelled]);
  }
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
  loop.close();
}
