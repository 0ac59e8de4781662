/* What survives a restart of versions that are not the newest. */
import { expect } from 'chai';
import { policyKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';

const AP = 'AuthorizationPolicy';

function deny(
  generation: number,
  over: { readonly invalid?: true; readonly uid?: string | null; readonly namespace?: string } = {},
): object {
  const { invalid, uid = 'u', namespace = 'foo' } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { name: 'p', namespace, generation, ...(uid === null ? {} : { uid }) },
    spec: {
      action: 'DENY',
      rules: [
        { to: [{ operation: { paths: ['/secret'] } }], ...(invalid === undefined ? {} : { when: [{ key: 'nonsense', values: ['x'] }] }) },
      ],
    },
  };
}

describe('last good versions', () => {
  const key = policyKey(AP, 'foo', 'p');
  const stateOf = (...versions: readonly object[]): ClusterState => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    for (const version of versions) clusterState.upsertPolicy(version);
    return clusterState;
  };
  /** A later process, which reads the record and then the newest version. */
  const restarted = (before: ClusterState, newest: readonly object[], namespace = 'foo'): ClusterState => {
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    clusterState.recall(namespace, JSON.parse(JSON.stringify(before.lastGoodOf('foo'))) as readonly unknown[]);
    clusterState.replacePolicies(AP, newest);
    return clusterState;
  };
  const generationOf = (clusterState: ClusterState): number | undefined => clusterState.policies.get(key)?.active?.metadata.generation;

  it('are recorded only while the newest version is not enforced', () => {
    const clusterState = stateOf(deny(1));
    expect(clusterState.lastGoodOf('foo')).to.deep.equal([]);
    clusterState.upsertPolicy(deny(2, { invalid: true }));
    expect(clusterState.lastGoodOf('foo')).to.deep.equal([deny(1)]);
    expect(clusterState.lastGoodOf('bar')).to.deep.equal([]);
    clusterState.upsertPolicy(deny(3));
    expect(clusterState.lastGoodOf('foo')).to.deep.equal([]);
    clusterState.upsertPolicy(deny(4, { invalid: true }));
    clusterState.removePolicy(key);
    expect(clusterState.lastGoodOf('foo')).to.deep.equal([]);
  });

  it('stay active after a restart', () => {
    const invalid = deny(2, { invalid: true });
    const after = restarted(stateOf(deny(1), invalid), [invalid]);

    expect(generationOf(after)).to.equal(1);
    const entry = after.policies.get(key);
    expect(entry).to.include({ isValid: false, generation: 2 });
    expect(entry?.active).to.equal(entry?.lastGood);
    expect(after.lastGoodOf('foo')).to.deep.equal([deny(1)]);
  });

  it('give way to a newest version that is valid', () => {
    const after = restarted(stateOf(deny(1), deny(2, { invalid: true })), [deny(3)]);

    expect([generationOf(after), after.lastGoodOf('foo')]).to.deep.equal([3, []]);
  });

  it('do not count for a policy that was deleted and created again', () => {
    const invalid = deny(2, { invalid: true });
    const before = stateOf(deny(1), invalid);
    expect(generationOf(restarted(before, [deny(1, { invalid: true, uid: 'other' })]))).to.equal(1);
    expect(restarted(before, [deny(7, { invalid: true, uid: 'other' })]).policies.get(key)?.lastGood).to.equal(undefined);

    const withoutUid = stateOf(deny(1, { uid: null }), deny(2, { uid: null, invalid: true }));
    const after = restarted(withoutUid, []);
    after.upsertPolicy(deny(0, { uid: null, invalid: true }));
    expect(after.policies.get(key)?.lastGood).to.equal(undefined);
  });

  it('are not taken from the record of another namespace, or when they are not valid', () => {
    const invalid = deny(2, { invalid: true });
    expect(restarted(stateOf(deny(1), invalid), [invalid], 'bar').policies.get(key)?.lastGood).to.equal(undefined);

    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    clusterState.recall('foo', [deny(1, { invalid: true }), null, 'text', {}]);
    clusterState.upsertPolicy(invalid);
    expect(clusterState.policies.get(key)?.lastGood).to.equal(undefined);
  });
});
