import { expect } from 'chai';
import { parseWorkloadKey, policyKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { Change } from '../../../src/resolve/selection.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { slimPod } from '../../support/guarded-pods.ts';

const AP = 'AuthorizationPolicy';

function stateAndChanges(): { readonly clusterState: ClusterState; readonly changes: Change[] } {
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  const changes: Change[] = [];
  clusterState.subscribe((change) => changes.push(change));
  return { clusterState, changes };
}

function policy(
  name: string,
  over: {
    readonly namespace?: string;
    readonly generation?: number;
    readonly uid?: string;
    readonly ip?: string;
    readonly status?: object;
  } = {},
): object {
  const { namespace = 'foo', generation = 1, uid = 'u1', ip = '10.0.0.0/8', status } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { name, namespace, uid, generation, resourceVersion: `${Math.random()}` },
    spec: { rules: [{ from: [{ source: { ipBlocks: [ip] } }] }] },
    ...(status === undefined ? {} : { status }),
  };
}

function pod(
  name: string,
  over: { readonly agent?: boolean; readonly phase?: string; readonly owner?: string; readonly namespace?: string } = {},
): SlimPod {
  const { agent = true, phase = 'Running', owner, namespace = 'foo' } = over;
  const raw = {
    metadata: {
      namespace,
      name,
      labels: { app: name },
      ...(owner === undefined
        ? {}
        : { ownerReferences: [{ controller: true, apiVersion: 'apps/v1', kind: 'StatefulSet', name: owner, uid: owner }] }),
    },
    status: { phase },
  };
  return slimPod(raw, agent);
}

describe('cluster state', () => {
  const key = policyKey(AP, 'foo', 'p');

  it('makes a valid policy active and reports the change', () => {
    const { clusterState, changes } = stateAndChanges();
    clusterState.upsertPolicy(policy('p'));

    const entry = clusterState.policies.get(key);
    expect(entry).to.include({ isValid: true, generation: 1 });
    expect(entry?.active).to.be.an('object').and.to.equal(entry?.lastGood);
    expect(changes).to.have.length(1);
    expect(clusterState.policiesInScope('foo').map(({ metadata }) => metadata.name)).to.deep.equal(['p']);
    expect(clusterState.policiesInScope('bar')).to.deep.equal([]);
  });

  it('returns policies of the root namespace for every namespace, without duplicates', () => {
    const { clusterState } = stateAndChanges();
    clusterState.upsertPolicy(policy('p', { namespace: 'istio-system' }));
    expect(clusterState.policiesInScope('foo')).to.have.length(1);
    expect(clusterState.policiesInScope('istio-system')).to.have.length(1);
  });

  it('keeps the last valid version active without an event, and the findings of the invalid one', () => {
    const { clusterState, changes } = stateAndChanges();
    clusterState.upsertPolicy(policy('p'));
    const good = clusterState.policies.get(key)?.active;
    clusterState.upsertPolicy(policy('p', { generation: 2, ip: 'nonsense' }));

    const entry = clusterState.policies.get(key);
    expect(entry).to.include({ isValid: false, lastGood: good, generation: 2 });
    expect(entry?.active).to.equal(good);
    expect(entry?.findings.map(({ severity }) => severity)).to.include('error');
    expect(changes).to.have.length(1);

    clusterState.upsertPolicy(policy('p', { generation: 3, ip: '10.1.0.0/16' }));
    expect(clusterState.policies.get(key)).to.include({ isValid: true, generation: 3 });
    expect(changes).to.have.length(2);
  });

  it('keeps nothing of a deleted policy when one of the same name is created', () => {
    const { clusterState } = stateAndChanges();
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy(policy('p', { uid: 'u2', ip: 'nonsense' }));
    expect(clusterState.policies.get(key)).to.include({ isValid: false }).and.not.to.have.property('lastGood');
  });

  it('reports a new status to subscribers of the policy store only', () => {
    const { clusterState, changes } = stateAndChanges();
    let seen = 0;
    clusterState.policies.subscribe(() => {
      seen += 1;
    });
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy(policy('p', { status: { conditions: [] } }));

    expect(changes).to.have.length(1);
    expect(seen).to.equal(2);
  });

  it('reports a change of an annotation that changes the meaning of a policy', () => {
    const { clusterState, changes } = stateAndChanges();
    clusterState.upsertPolicy(policy('p'));
    const dryRun = policy('p') as { metadata: object };
    clusterState.upsertPolicy({ ...dryRun, metadata: { ...dryRun.metadata, annotations: { 'istio.io/dry-run': 'true' } } });
    expect(changes).to.have.length(2);
  });

  it('replaces the policies of one kind and leaves the other', () => {
    const { clusterState, changes } = stateAndChanges();
    clusterState.upsertPolicy(policy('p'));
    clusterState.upsertPolicy({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { namespace: 'foo', name: 'jwt' },
      spec: {},
    });
    clusterState.replacePolicies(AP, [policy('q')]);

    expect([...clusterState.policies.values()].map((entry) => entry.key).sort()).to.deep.equal([
      policyKey(AP, 'foo', 'q'),
      'RequestAuthentication/foo/jwt',
    ]);
    expect(changes.map((change) => change.kind === 'policy' && [change.before?.metadata.name, change.after?.metadata.name])).to.deep.equal([
      [undefined, 'p'],
      [undefined, 'jwt'],
      [undefined, 'q'],
      ['p', undefined],
    ]);
  });

  it('ignores what is not a policy', () => {
    const { clusterState } = stateAndChanges();
    for (const raw of [null, undefined, 'text', {}, { kind: AP }, { kind: 'Gateway', metadata: { name: 'g' } }])
      clusterState.upsertPolicy(raw);
    expect(clusterState.policies.size()).to.equal(0);
  });

  it('groups pods into workloads and leaves finished pods out', () => {
    const { clusterState } = stateAndChanges();
    clusterState.pods.upsert(pod('db-0', { owner: 'db' }));
    clusterState.pods.upsert(pod('db-1', { owner: 'db' }));
    clusterState.pods.upsert(pod('bare', { agent: false }));
    clusterState.pods.upsert(pod('done', { phase: 'Succeeded' }));
    clusterState.pods.upsert(pod('far', { namespace: 'foobar' }));

    const { selection } = clusterState;
    expect([...selection.workloads('foo')]).to.deep.equal(['foo/statefulset/db']);
    expect([...selection.workloadsWithoutAgent('foo')]).to.deep.equal(['foo/pod/bare']);
    expect(new Set([...selection.workloads(), ...selection.workloadsWithoutAgent()])).to.have.property('size', 3);
    expect(clusterState.agentPodsOf({ namespace: 'foo', kind: 'statefulset', name: 'db' }).map(({ name }) => name)).to.deep.equal([
      'db-0',
      'db-1',
    ]);
    expect(selection.labelSetsOf('foo/statefulset/db')).to.deep.equal([{ app: 'db-0' }, { app: 'db-1' }]);
    expect(clusterState.agentPodsOf({ namespace: 'foo', kind: 'pod', name: 'bare' })).to.deep.equal([]);
  });

  it('reports a namespace only when it begins or ceases to terminate', () => {
    const { clusterState, changes } = stateAndChanges();
    clusterState.namespaces.upsert({ name: 'foo', labels: {}, terminating: false });
    clusterState.namespaces.upsert({ name: 'foo', labels: { a: 'b' }, terminating: false });
    clusterState.namespaces.upsert({ name: 'foo', labels: { a: 'b' }, terminating: true });
    expect(changes.filter(({ kind }) => kind === 'namespace')).to.have.length(2);
  });

  it('parses the key of a workload', () => {
    expect(parseWorkloadKey('foo/pod/bar')).to.deep.equal({ namespace: 'foo', kind: 'pod', name: 'bar' });
  });
});
