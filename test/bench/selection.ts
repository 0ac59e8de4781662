/*
 * What one change costs among 1,000 and among 10,000 workloads: through Selection alone, and from the change to the bundle and
 * the status in memory. Prints medians and their ratio; the goal is at most 1.5 for a change that selects as many workloads.
 * `node test/bench/selection.ts [--quick]`.
 */
import type { ClusterState } from '../../src/state/cluster-state.ts';
import { createScaledCluster, type ScaledCluster } from '../support/scaled-cluster.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';

const isQuick = process.argv.includes('--quick');
const SIZES = [1_000, 10_000] as const;
const SAMPLES = isQuick ? 100 : 500;
const WARM_UP = isQuick ? 50 : 200;
const GOAL = 1.5;

interface Scenario {
  readonly name: string;
  /** Makes the change of one round. Rounds go through the workloads of the cluster. */
  readonly change: (cluster: ScaledCluster, index: number, round: number) => unknown;
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'pod relabelled',
    change: ({ clusterState, pod }, index, round) => clusterState.pods.upsert(pod(index, { version: `${round}` })),
  },
  {
    name: 'policy of one workload edited',
    change: ({ clusterState, workloadPolicy }, index, round) => clusterState.upsertPolicy(workloadPolicy(index, round + 2)),
  },
  {
    name: 'policy of a namespace edited (10 workloads)',
    change: ({ clusterState, namespacePolicy }, index, round) => clusterState.upsertPolicy(namespacePolicy(index, round + 2)),
  },
  { name: 'status of one policy', change: ({ queueStatus }, index) => queueStatus(index) },
];

/** Queries and changes of Selection alone; each call is repeated, as one takes microseconds. */
const SELECTION_SCENARIOS: readonly Scenario[] = [
  {
    name: 'pod relabelled',
    // Always a new value, as of a pod template hash.
    change: ({ clusterState: { selection }, pod }, index, round) =>
      selection.apply({ kind: 'pod', before: pod(index), after: pod(index, { version: `${round}` }) }),
  },
  {
    name: 'policy of one workload edited',
    change: ({ clusterState }, index) => {
      const after = policyOf(clusterState, index, `p-${index}`);
      clusterState.selection.apply({ kind: 'policy', before: after, after });
    },
  },
  {
    name: 'policy of a namespace edited (10 workloads)',
    change: ({ clusterState }, index) => {
      const after = policyOf(clusterState, index, 'all');
      clusterState.selection.apply({ kind: 'policy', before: after, after });
    },
  },
  {
    name: 'policies of one workload and workloads of one policy read',
    change: ({ clusterState: { selection }, pod }, index) => {
      selection.policiesOf(`${pod(index).namespace}/app-${index}`);
      selection.workloadsOf(`AuthorizationPolicy/${pod(index).namespace}/p-${index}`);
    },
  },
];

type ActivePolicy = NonNullable<Parameters<ClusterState['selection']['apply']>[0] & { kind: 'policy' }>['after'];

function policyOf(clusterState: ClusterState, index: number, name: string): NonNullable<ActivePolicy> {
  const active = clusterState.policies.get(`AuthorizationPolicy/ns-${Math.floor(index / 10)}/${name}`)?.active;
  if (active === undefined) throw new Error(`no policy ${name}`);
  return active;
}

function median(samples: readonly number[]): number {
  return samples.toSorted((one, other) => one - other)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

/** Median time of one round in microseconds. The clusters take turns, so that both see the same state of the machine. */
async function measure(
  clusters: readonly ScaledCluster[],
  { change }: Scenario,
  round: { readonly repeat: number; readonly isSettled: boolean },
): Promise<readonly number[]> {
  const samples = clusters.map((): number[] => []);
  for (let at = 0; at < WARM_UP + SAMPLES; at += 1) {
    for (const [which, cluster] of clusters.entries()) {
      const startedMs = performance.now();
      for (let turn = 0; turn < round.repeat; turn += 1) change(cluster, (at * 37 + turn * 11) % SIZES[0], at * round.repeat + turn);
      if (round.isSettled) await cluster.settle();
      if (at >= WARM_UP) samples[which]?.push(((performance.now() - startedMs) * 1_000) / round.repeat);
    }
  }
  return samples.map(median);
}

const clusters: ScaledCluster[] = [];
for (const size of SIZES) clusters.push(await createScaledCluster(size));
let worst = 0;
for (const [title, scenarios, round] of [
  ['Selection', SELECTION_SCENARIOS, { repeat: 20, isSettled: false }],
  ['change -> queue -> reconcile -> status', SCENARIOS, { repeat: 1, isSettled: true }],
] as const) {
  process.stdout.write(`${title}, microseconds (median of ${SAMPLES})\n`);
  process.stdout.write(
    `${'change'.padEnd(60)}${SIZES.map((size) => size.toLocaleString('en').padStart(10)).join('')}${'ratio'.padStart(8)}\n`,
  );
  for (const scenario of scenarios) {
    const [small = Number.NaN, large = Number.NaN] = await measure(clusters, scenario, round);
    worst = Math.max(worst, large / small);
    process.stdout.write(
      `${scenario.name.padEnd(60)}${small.toFixed(1).padStart(10)}${large.toFixed(1).padStart(10)}${(large / small).toFixed(2).padStart(8)}\n`,
    );
    reportRatio(['selection', title, scenario.name, '10000 : 1000'], large / small, TOLERANCE.time);
  }
}
process.stdout.write(`worst ratio ${worst.toFixed(2)}; goal at most ${GOAL}\n`);
for (const cluster of clusters) await cluster.stop();
