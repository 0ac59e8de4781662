/*
 * What the feed costs the leader, on a real API server with simulated agents: memory and CPU time of each stream, all agents connecting again
 * at the same time, and an edit of a policy of the whole mesh and of one workload until the last agent has it and until it is written.
 *
 * `node test/bench/feed.ts [--namespaces 100] [--workloads 10] [--pods 1] [--edits 5] [--entry FILE]`. One agent for each pod, at most 62,500.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readObject } from '../../src/cluster/objects.ts';
import { SECRETS } from '../../src/cluster/paths.ts';
import { startControlPlane } from '../cluster/control-plane.ts';
import { freePorts } from '../cluster/wait.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import {
  allKeys,
  fillCluster,
  keyOfWorkload,
  meshSpec,
  namespaceOf,
  watchWritten,
  workloadSpec,
  writePolicy,
} from '../support/loaded-cluster.ts';
import { openPolicyCluster } from '../support/policy-cluster.ts';
import { connectSimulatedAgents, type SimulatedAgent, simulatedPods, tokenSigner } from '../support/simulated-agents.ts';
import { cpuMicros, rssMiB } from './support/processes.ts';

const PATIENCE_MS = 300_000;
const SYSTEM = 'sallyport-system';

const { values } = parseArgs({
  options: {
    namespaces: { type: 'string', default: '100' },
    workloads: { type: 'string', default: '10' },
    pods: { type: 'string', default: '1' },
    edits: { type: 'string', default: '5' },
    profile: { type: 'string', default: '' },
    entry: { type: 'string', default: fileURLToPath(new URL('../../src/main/controller.ts', import.meta.url)) },
  },
});
const size = { namespaces: Number(values.namespaces), workloads: Number(values.workloads), pods: Number(values.pods) };
const total = size.namespaces * size.workloads;
const count = total * size.pods;

function print(phase: string, figures: Readonly<Record<string, number>>): void {
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${Number(value.toFixed(1))}`);
  process.stdout.write(`${phase.padEnd(16)} ${shown.join(', ')}\n`);
}

async function requests(controller: ControllerProcess): Promise<number> {
  const { text } = await controller.get('/metrics');
  const lines = text.split('\n').filter((line) => line.startsWith('rest_client_requests_total{'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function untilQuiet(controller: ControllerProcess): Promise<void> {
  for (let quiet = 0; quiet < 8; ) {
    const { text } = await controller.get('/metrics');
    quiet = /^workqueue_depth\{name="[a-z-]+"\} [1-9]/m.test(text) ? 0 : quiet + 1;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

const plane = await startControlPlane();
const cluster = await openPolicyCluster(plane.kubeconfigPath);
const [port = 0] = await freePorts(1);
const profile = values.profile === '' ? '' : ` --cpu-prof --cpu-prof-dir=${values.profile}`;
const controller = await startController({
  kubeconfig: plane.kubeconfigPath,
  name: 'bench',
  namespace: SYSTEM,
  entry: values.entry,
  level: 'info',
  env: {
    NODE_OPTIONS: `--max-semi-space-size=2 --max-old-space-size=1200${profile}`,
    SALLYPORT_LEADER_ELECT: 'false',
    SALLYPORT_WEBHOOK: 'true',
    SALLYPORT_WEBHOOK_HOST: '127.0.0.1',
    SALLYPORT_WEBHOOK_PORT: '0',
    SALLYPORT_AGENT_IMAGE: 'example/agent:1',
    SALLYPORT_FEED_ENABLED: 'true',
    SALLYPORT_FEED_HOST: '127.0.0.1',
    SALLYPORT_FEED_PORT: String(port),
    SALLYPORT_FEED_MAX_STREAMS: '20000',
  },
});
try {
  await cluster.namespace(SYSTEM);
  await cluster.namespace('istio-system');
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  const secret = await readObject(cluster.client, { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-webhook' });
  const data = (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;
  const authorities = Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
  const serverName = `sallyport.${SYSTEM}.svc`;
  const watch = await watchWritten(cluster.client);
  await fillCluster(cluster.client, size, { address: `127.0.0.1:${port}`, authorities, serverName });
  await until(() => watch.bundles.size >= total, 'all bundles', PATIENCE_MS);
  await untilQuiet(controller);

  const pods = await simulatedPods(cluster.client);
  const sign = tokenSigner(plane.stateDir);
  const tokens = new Map(pods.map((pod) => [pod.uid, sign(pod)]));
  const listeners = new Set<(agent: SimulatedAgent) => void>();
  const before = {
    rss: rssMiB(controller.pid),
    cpu: cpuMicros(controller.pid),
    requests: await requests(controller),
    ms: performance.now(),
  };
  const simulated = connectSimulatedAgents({
    pods,
    port,
    authorities,
    serverName,
    tokenOf: ({ uid }) => tokens.get(uid) ?? '',
    onBundle: (agent) => listeners.forEach((listener) => listener(agent)),
  });
  await simulated.untilConnected();
  const connectMs = performance.now() - before.ms;
  await until(() => simulated.agents.every(({ number }) => number > 0), 'the bundles of all agents', PATIENCE_MS);
  await untilQuiet(controller);
  print('connect', {
    agents: count,
    's until all have a stream': connectMs / 1000,
    'CPU s': (cpuMicros(controller.pid) - before.cpu) / 1e6,
    'RSS MiB': rssMiB(controller.pid),
    'KiB each': ((rssMiB(controller.pid) - before.rss) / count) * 1024,
    'bytes each': simulated.bundleBytes() / count,
    failures: simulated.failures(),
  });

  const edit = async (phase: string, workloads: readonly string[], agents: number, run: (mark: string) => Promise<void>): Promise<void> => {
    const times: number[] = [];
    const durable: number[] = [];
    const bytes = simulated.bundleBytes();
    const cpu = cpuMicros(controller.pid);
    for (let at = 0; at < Number(values.edits); at += 1) {
      const done = Promise.withResolvers<void>();
      const waiting = new Set<SimulatedAgent>();
      const listener = (agent: SimulatedAgent): void => {
        waiting.add(agent);
        if (waiting.size === agents) done.resolve();
      };
      listeners.add(listener);
      const startedMs = performance.now();
      const written = watch.edit(workloads, () => run(`${phase}-${at}`));
      await done.promise;
      times.push(performance.now() - startedMs);
      listeners.delete(listener);
      durable.push((await written).lastBundle);
      await untilQuiet(controller);
    }
    const middle = (list: number[]): number => list.toSorted((one, other) => one - other)[Math.floor(list.length / 2)] ?? 0;
    print(phase, {
      'ms to the last agent, median': middle(times),
      worst: Math.max(...times),
      'ms to the last ConfigMap, median': middle(durable),
      'bytes per agent': (simulated.bundleBytes() - bytes) / agents / times.length,
      'CPU s per edit': (cpuMicros(controller.pid) - cpu) / 1e6 / times.length,
    });
  };
  await edit('root edit', allKeys(size), count, (mark) =>
    writePolicy(cluster.client, { namespace: 'istio-system', name: 'mesh' }, meshSpec(mark)),
  );
  await edit('workload edit', [keyOfWorkload(size, 0)], size.pods, (mark) =>
    writePolicy(cluster.client, { namespace: namespaceOf(size, 0), name: 'w0' }, workloadSpec(0, mark)),
  );

  const again = { cpu: cpuMicros(controller.pid), requests: await requests(controller), ms: performance.now() };
  simulated.dropAll();
  await until(() => simulated.connected() < count / 2, 'the end of the streams', PATIENCE_MS);
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, rssMiB(controller.pid));
  }, 100);
  await simulated.untilConnected();
  clearInterval(sampling);
  print('reconnect', {
    's until all have a stream': (performance.now() - again.ms) / 1000,
    'CPU s': (cpuMicros(controller.pid) - again.cpu) / 1e6,
    'RSS MiB, peak': peak,
    'requests to the API server': (await requests(controller)) - again.requests,
    failures: simulated.failures() - count,
  });
  simulated.stop();
  await watch.stop();
} finally {
  await controller.stop();
  await cluster.close();
  await plane.stop();
}
process.exit();
