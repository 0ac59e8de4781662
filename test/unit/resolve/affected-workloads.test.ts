/* What has to be compiled again after a change. */
import { expect } from 'chai';
import { workloadKey } from '../../../src/api/kube/keys.ts';
import { workloadOf } from '../../../src/api/kube/workload.ts';
import { affectedWorkloads, type Change, type WorkloadView, workloadsSelectedBy } from '../../../src/resolve/affected-workloads.ts';
import { allow, podOf } from './policies.ts';

const pods = [
  podOf('a', { app: 'a' }),
  podOf('b', { app: 'b' }),
  podOf('b', { app: 'b', version: 'v2' }, { name: 'b-1' }),
  podOf('a', { app: 'a' }, { namespace: 'bar' }),
];

const clusterState: WorkloadView = {
  rootNamespace: 'istio-system',
  workloads: (namespace) =>
    new Map(
      pods
        .filter((pod) => namespace === undefined || pod.namespace === namespace)
        .map((pod) => [workloadKey(workloadOf(pod)), workloadOf(pod)]),
    ).values(),
  labelSetsOf: (workload) => pods.filter((pod) => workloadKey(workloadOf(pod)) === workloadKey(workload)).map(({ labels }) => labels),
};

const [podA] = pods as [(typeof pods)[number]];
const CHANGES: readonly (readonly [string, Change, readonly string[]])[] = [
  ['a new policy of a namespace', { kind: 'policy', after: allow('p') }, ['foo/a', 'foo/b']],
  ['a new policy with a selector', { kind: 'policy', after: allow('p', { labels: { app: 'a' } }) }, ['foo/a']],
  ['a selector that one pod of several fits', { kind: 'policy', after: allow('p', { labels: { version: 'v2' } }) }, ['foo/b']],
  ['a policy that selects nothing', { kind: 'policy', after: allow('p', { labels: { app: 'x' } }) }, []],
  ['a policy of the whole mesh', { kind: 'policy', after: allow('p', { namespace: 'istio-system' }) }, ['bar/a', 'foo/a', 'foo/b']],
  ['a mesh-wide selector', { kind: 'policy', before: allow('p', { namespace: 'istio-system', labels: { app: 'a' } }) }, ['bar/a', 'foo/a']],
  ['a policy of an empty namespace', { kind: 'policy', after: allow('p', { namespace: 'baz' }) }, []],
  [
    'a selector that moves',
    { kind: 'policy', before: allow('p', { labels: { app: 'a' } }), after: allow('p', { labels: { app: 'b' } }) },
    ['foo/a', 'foo/b'],
  ],
  ['new keys', { kind: 'keys', policies: [allow('p', { labels: { app: 'a' } }), allow('q', { labels: { app: 'a' } })] }, ['foo/a']],
  ['a namespace', { kind: 'namespace', name: 'bar' }, ['bar/a']],
  ['mesh settings', { kind: 'mesh' }, ['bar/a', 'foo/a', 'foo/b']],
  ['a new pod', { kind: 'pod', after: podA }, ['foo/a']],
  ['a pod gone', { kind: 'pod', before: podA }, ['foo/a']],
  ['a pod without agent', { kind: 'pod', after: { ...podA, annotations: {} } }, []],
  ['a pod that lost its agent', { kind: 'pod', before: podA, after: { ...podA, annotations: {} } }, ['foo/a']],
  ['a label changed', { kind: 'pod', before: podA, after: { ...podA, labels: { app: 'b' } } }, ['foo/a']],
  ['a label added', { kind: 'pod', before: podA, after: { ...podA, labels: { app: 'a', x: 'y' } } }, ['foo/a']],
  ['a pod that changed in nothing that counts', { kind: 'pod', before: podA, after: { ...podA, podIP: '10.0.0.1', phase: 'Running' } }, []],
  ['a pod that ended', { kind: 'pod', before: { ...podA, phase: 'Running' }, after: { ...podA, phase: 'Failed' } }, ['foo/a']],
  [
    'a pod adopted by another owner',
    { kind: 'pod', before: podA, after: { ...podA, owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'c', uid: 'c' } } },
    ['foo/a', 'foo/c'],
  ],
];

describe('affectedWorkloads', () => {
  for (const [what, change, expected] of CHANGES) {
    it(`names the workloads that ${what} touches`, () => {
      expect(affectedWorkloads(change, clusterState).map(workloadKey).sort()).to.deep.equal(expected);
    });
  }
});

describe('workloadsSelectedBy', () => {
  it('asks only for the workloads of the namespace of the policy', () => {
    const asked: (string | undefined)[] = [];
    const spy: WorkloadView = {
      ...clusterState,
      workloads: (namespace) => {
        asked.push(namespace);
        return clusterState.workloads(namespace);
      },
    };

    workloadsSelectedBy(allow('p'), spy);
    workloadsSelectedBy(allow('p', { namespace: 'istio-system' }), spy);

    expect(asked).to.deep.equal(['foo', undefined]);
  });
});
