/*
 * What the feed costs the leader, on a real API server with simulated agents: memory and CPU time of each stream, all agents connecting again
 * at the same time, and an edit of a policy of the whole mesh and of one workload until the last agent has it and until it is written.
 *
 * `node test/bench/feed.ts [--namespaces 100] [--workloads 10] [--pods 1] [--edits 5] [--whole] [--entry FILE]`. One agent for each pod, at most
 * 62,500. With `--whole`, agents take whole bundles only, as those of an earlier version.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { until } from '../support/fake-clock.ts';
import { allKeys, keyOfWorkload, meshSpec, namespaceOf, workloadSpec, writePolicy } from '../support/loaded-cluster.ts';
import { REQUESTS, startLoadedFeed } from '../support/loaded-feed.ts';
import { connectSimulatedAgents, type SimulatedAgent } from '../support/simulated-agents.ts';
import { cpuMicros, rssMiB } from './support/processes.ts';

const PATIENCE_MS = 300_000;

const { values } = parseArgs({
  options: {
    namespaces: { type: 'string', default: '100' },
    workloads: { type: 'string', default: '10' },
    pods: { type: 'string', default: '1' },
    edits: { type: 'string', default: '5' },
    whole: { type: 'boolean', default: false },
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

const profile = values.profile === '' ? '' : ` --cpu-prof --cpu-prof-dir=${values.profile}`;
const stage = await startLoadedFeed(size, {
  entry: values.entry,
  nodeOptions: `--max-semi-space-size=2 --max-old-space-size=1200${profile}`,
});
const { controller, cluster, watch } = stage;
const requests = (): Promise<number> => stage.count(REQUESTS);
try {
  await stage.settle();
  const tokens = new Map(stage.agents.pods.map((pod) => [pod.uid, stage.agents.tokenOf(pod)]));
  const listeners = new Set<(agent: SimulatedAgent) => void>();
  const before = {
    rss: rssMiB(controller.pid),
    cpu: cpuMicros(controller.pid),
    requests: await requests(),
    ms: performance.now(),
  };
  const simulated = connectSimulatedAgents({
    ...stage.agents,
    isWhole: values.whole,
    tokenOf: ({ uid }) => tokens.get(uid) ?? '',
    onBundle: (agent) => listeners.forEach((listener) => listener(agent)),
  });
  await simulated.untilConnected();
  const connectMs = performance.now() - before.ms;
  await until(() => simulated.agents.every(({ number }) => number > 0), 'the bundles of all agents', PATIENCE_MS);
  await stage.settle();
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
      await stage.settle();
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

  const again = { cpu: cpuMicros(controller.pid), requests: await requests(), ms: performance.now() };
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
    'requests to the API server': (await requests()) - again.requests,
    failures: simulated.failures() - count,
  });
  simulated.stop();
} finally {
  await stage.stop();
}
process.exit();
