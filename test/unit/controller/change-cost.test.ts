/* What one change costs from the change to bundle and status, counted in objects; test/bench/selection.ts measures time. */
import { expect } from 'chai';
import { type ChangeCost, createScaledCluster, type ScaledCluster } from '../../support/scaled-cluster.ts';

const CHANGES: readonly (readonly [string, Omit<ChangeCost, 'objectsExamined'>, (cluster: ScaledCluster) => void])[] = [
  [
    'a pod gets a label that no selector names',
    { bundlesCompiled: 0, statusesWritten: 0 },
    ({ clusterState, pod }) => clusterState.pods.upsert(pod(3, { version: '2' })),
  ],
  [
    'a pod gets the labels of another workload',
    { bundlesCompiled: 1, statusesWritten: 3 },
    ({ clusterState, pod }) => clusterState.pods.upsert(pod(3, { app: 'app-4' })),
  ],
  [
    'a policy that selects one workload is edited',
    { bundlesCompiled: 1, statusesWritten: 2 },
    ({ clusterState, workloadPolicy }) => clusterState.upsertPolicy(workloadPolicy(3, 2)),
  ],
  [
    'a policy of a namespace is edited',
    { bundlesCompiled: 10, statusesWritten: 11 },
    ({ clusterState, namespacePolicy }) => clusterState.upsertPolicy(namespacePolicy(3, 2)),
  ],
  ['the status of one policy is queued', { bundlesCompiled: 0, statusesWritten: 1 }, ({ queueStatus }) => queueStatus(3)],
];

async function cost(workloads: number, change: (cluster: ScaledCluster) => void): Promise<ChangeCost> {
  const cluster = await createScaledCluster(workloads);
  cluster.takeCost();
  change(cluster);
  await cluster.settle();
  await cluster.stop();
  return cluster.takeCost();
}

describe('cost of a change', () => {
  for (const [what, expected, change] of CHANGES) {
    it(`does not depend on the size of the cluster when ${what}`, async () => {
      const [small, large] = [await cost(20, change), await cost(200, change)];
      expect(large).to.deep.equal(small);
      expect(large.bundlesCompiled).to.equal(expected.bundlesCompiled);
      expect(large.statusesWritten).to.be.at.most(expected.statusesWritten);
    });
  }
});
