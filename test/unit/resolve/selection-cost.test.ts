/* The cost of a change or a query is in proportion to what it selects: counts the policies and label sets examined. */
import { expect } from 'chai';
import type { AuthorizationPolicy } from '../../../src/api/istio/resources.ts';
import { policyKeyOf } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { createSelection, type Selection } from '../../../src/resolve/selection.ts';
import { allow, podOf } from './policies.ts';

const NAMESPACE_SIZE = 10;
const ROOT = 'istio-system';

interface Examined {
  readonly policies: Set<object>;
  readonly labelSets: Set<object>;
}

/** Records in `seen` that a member of `target` was read. */
function watched<T extends object>(target: T, seen: Set<object>): T {
  return new Proxy(target, {
    get: (own, key, receiver) => {
      seen.add(own);
      return Reflect.get(own, key, receiver) as unknown;
    },
    getOwnPropertyDescriptor: (own, key) => {
      seen.add(own);
      return Reflect.getOwnPropertyDescriptor(own, key);
    },
  });
}

interface Cluster extends Examined {
  readonly selection: Selection;
  readonly policy: (name: string, place?: Parameters<typeof allow>[1]) => AuthorizationPolicy;
  readonly pod: (index: number, labels?: Readonly<Record<string, string>>) => SlimPod;
}

/** Each workload has one pod and one policy that selects only it; all pods and selectors share the label env=prod. */
function clusterOf(workloads: number): Cluster {
  const examined: Examined = { policies: new Set(), labelSets: new Set() };
  const selection = createSelection(() => ROOT);
  const namespaceOf = (index: number): string => `ns-${Math.floor(index / NAMESPACE_SIZE)}`;
  const policy = (name: string, place = {}): AuthorizationPolicy => watched(allow(name, place), examined.policies);
  const pod = (index: number, labels = {}): SlimPod => {
    const own = { app: `app-${index}`, env: 'prod', ...labels };
    return podOf(`app-${index}`, watched(own, examined.labelSets), { namespace: namespaceOf(index) });
  };
  for (let index = 0; index < workloads; index += 1) {
    const labels = { env: 'prod', app: `app-${index}` };
    selection.apply({ kind: 'policy', after: policy(`p-${index}`, { namespace: namespaceOf(index), labels }) });
    selection.apply({ kind: 'pod', after: pod(index) });
  }
  return { ...examined, selection, policy, pod };
}

type Action = (cluster: Cluster) => void;

const rootPolicy = allow('root-p', { namespace: ROOT, labels: { env: 'prod', app: 'app-7' } });
const ACTIONS: readonly (readonly [string, Action])[] = [
  ['a pod is relabelled', ({ selection, pod }) => selection.apply({ kind: 'pod', before: pod(3), after: pod(3, { app: 'app-4' }) })],
  ['a pod is created', ({ selection, pod }) => selection.apply({ kind: 'pod', after: { ...pod(3), name: 'another' } })],
  ['a pod is deleted', ({ selection, pod }) => selection.apply({ kind: 'pod', before: pod(3) })],
  [
    'a policy that selects one workload is edited',
    ({ selection, policy }) => {
      const labels = { env: 'prod', app: 'app-3' };
      selection.apply({
        kind: 'policy',
        before: allow('p-3', { namespace: 'ns-0', labels }),
        after: policy('p-3', { namespace: 'ns-0', labels }),
      });
    },
  ],
  [
    'a policy of the root namespace that selects one workload is created',
    ({ selection, policy }) =>
      selection.apply({
        kind: 'policy',
        after: policy('root-p', { namespace: ROOT, labels: rootPolicy.spec.selector?.matchLabels ?? {} }),
      }),
  ],
  [
    'a policy of a namespace is created',
    ({ selection, policy }) => selection.apply({ kind: 'policy', after: policy('all', { namespace: 'ns-2' }) }),
  ],
  ['a namespace terminates', ({ selection }) => selection.apply({ kind: 'namespace', name: 'ns-2' })],
  ['the policies of a workload are read', ({ selection }) => selection.policiesOf('ns-0/app-3')],
  ['the workloads of a policy are read', ({ selection }) => selection.workloadsOf('AuthorizationPolicy/ns-0/p-3')],
];

function cost(cluster: Cluster, action: Action): { readonly policies: number; readonly labelSets: number } {
  cluster.policies.clear();
  cluster.labelSets.clear();
  action(cluster);
  return { policies: cluster.policies.size, labelSets: cluster.labelSets.size };
}

describe('cost of Selection', () => {
  for (const [what, action] of ACTIONS) {
    it(`examines as many objects among 1,000 workloads as among 100 when ${what}`, () => {
      const [small, large] = [cost(clusterOf(100), action), cost(clusterOf(1_000), action)];
      expect(large).to.deep.equal(small);
      expect(large.policies).to.be.at.most(4);
      expect(large.labelSets).to.be.at.most(NAMESPACE_SIZE + 2);
    });
  }

  it('examines only the label sets of its namespace when a policy has no selector', () => {
    const cluster = clusterOf(100);
    const namespaced = cost(cluster, ({ selection, policy }) =>
      selection.apply({ kind: 'policy', after: policy('a', { namespace: 'ns-1' }) }),
    );
    const meshWide = cost(cluster, ({ selection, policy }) => selection.apply({ kind: 'policy', after: policy('b', { namespace: ROOT }) }));
    // Without a selector no label is read at all; the workloads returned are those of the scope.
    expect([namespaced.labelSets, meshWide.labelSets]).to.deep.equal([0, 0]);
    expect(cluster.selection.workloadsOf('AuthorizationPolicy/ns-1/a').size).to.equal(NAMESPACE_SIZE);
    expect(cluster.selection.workloadsOf(policyKeyOf(allow('b', { namespace: ROOT }))).size).to.equal(100);
  });

  it('examines few policies when all selectors share a label pair', () => {
    const cluster = clusterOf(1_000);
    expect(cost(cluster, ({ selection }) => selection.policiesFor('ns-0', { env: 'prod', app: 'app-3' })).policies).to.be.at.most(2);
  });
});

describe('a workload whose pods have a label each', () => {
  /** The label sets that are read when one more pod comes, and the sets that a compilation looks at. */
  function readsOf(count: number, policies: readonly AuthorizationPolicy[]): { readonly reads: number; readonly sets: number } {
    let reads = 0;
    const selection = createSelection(() => ROOT);
    const pod = (at: number): SlimPod => {
      const labels = new Proxy({ app: 'web', pod: `web-${at}` } as Readonly<Record<string, string>>, {
        get: (own, key) => {
          reads += 1;
          return Reflect.get(own, key) as unknown;
        },
      });
      return podOf('web', labels, { namespace: 'ns-0', name: `web-${at}` });
    };
    for (const after of policies) selection.apply({ kind: 'policy', after });
    for (let at = 0; at < count; at += 1) selection.apply({ kind: 'pod', after: pod(at) });
    reads = 0;
    selection.apply({ kind: 'pod', after: pod(count) });
    const more = reads;
    return { reads: more, sets: selection.selectableSetsOf('ns-0/statefulset/web').length };
  }
  const policies = (labels: object): readonly AuthorizationPolicy[] =>
    Array.from({ length: 5 }, (_, at) => allow(`p-${at}`, { namespace: 'ns-0', ...labels }));

  it('costs no more for a pod when there are more of them', () => {
    for (const labels of [{}, { labels: { app: 'web' } }, { labels: { app: 'web', pod: 'web-40' } }]) {
      expect(readsOf(40, policies(labels)).reads, JSON.stringify(labels)).to.be.at.least(readsOf(160, policies(labels)).reads);
    }
  });

  it('is compiled for each combination of the labels that selectors name', () => {
    expect(readsOf(40, policies({})).sets).to.equal(1);
    expect(readsOf(40, policies({ labels: { app: 'web' } })).sets).to.equal(1);
    expect(readsOf(40, policies({ labels: { pod: 'web-1' } })).sets).to.equal(41);
  });
});
