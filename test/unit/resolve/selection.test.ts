/* Which policy selects which workload, after each kind of change. */
import { expect } from 'chai';
import { policyKeyOf } from '../../../src/api/kube/keys.ts';
import { type Change, createSelection, type Selection } from '../../../src/resolve/selection.ts';
import { allow, podOf, withoutAgent } from './policies.ts';

const pods = [
  podOf('a', { app: 'a' }),
  podOf('b', { app: 'b' }),
  podOf('b', { app: 'b', version: 'v2' }, { name: 'b-1' }),
  podOf('a', { app: 'a' }, { namespace: 'bar' }),
];

const ROOT = 'istio-system';
const byLabel = allow('by-label', { labels: { app: 'a' } });
const alsoByLabel = allow('also-by-label', { labels: { app: 'a' } });

function selectionOf(changes: readonly Change[]): Selection {
  const selection = createSelection(() => ROOT);
  for (const change of changes) selection.apply(change);
  return selection;
}

const podsAreThere = pods.map((after): Change => ({ kind: 'pod', after }));

const [podA] = pods as [(typeof pods)[number]];
const CHANGES: readonly (readonly [string, Change, readonly string[]])[] = [
  ['a new policy of a namespace', { kind: 'policy', after: allow('p') }, ['foo/statefulset/a', 'foo/statefulset/b']],
  ['a new policy with a selector', { kind: 'policy', after: allow('p', { labels: { app: 'a' } }) }, ['foo/statefulset/a']],
  ['a selector that one pod of several fits', { kind: 'policy', after: allow('p', { labels: { version: 'v2' } }) }, ['foo/statefulset/b']],
  ['a policy that selects nothing', { kind: 'policy', after: allow('p', { labels: { app: 'x' } }) }, []],
  [
    'a policy of the whole mesh',
    { kind: 'policy', after: allow('p', { namespace: 'istio-system' }) },
    ['bar/statefulset/a', 'foo/statefulset/a', 'foo/statefulset/b'],
  ],
  [
    'a mesh-wide selector',
    { kind: 'policy', before: allow('p', { namespace: 'istio-system', labels: { app: 'a' } }) },
    ['bar/statefulset/a', 'foo/statefulset/a'],
  ],
  ['a policy of an empty namespace', { kind: 'policy', after: allow('p', { namespace: 'baz' }) }, []],
  [
    'a selector that moves',
    { kind: 'policy', before: allow('p', { labels: { app: 'a' } }), after: allow('p', { labels: { app: 'b' } }) },
    ['foo/statefulset/a', 'foo/statefulset/b'],
  ],
  ['new keys', { kind: 'keys', policies: [byLabel, alsoByLabel].map(policyKeyOf) }, ['foo/statefulset/a']],
  ['a namespace', { kind: 'namespace', name: 'bar' }, ['bar/statefulset/a']],
  ['mesh settings', { kind: 'mesh' }, ['bar/statefulset/a', 'foo/statefulset/a', 'foo/statefulset/b']],
  ['a new pod', { kind: 'pod', after: podA }, ['foo/statefulset/a']],
  ['a pod gone', { kind: 'pod', before: podA }, ['foo/statefulset/a']],
  ['a pod without agent', { kind: 'pod', after: withoutAgent(podA) }, []],
  ['a pod that lost its agent', { kind: 'pod', before: podA, after: withoutAgent(podA) }, ['foo/statefulset/a']],
  ['a label changed', { kind: 'pod', before: podA, after: { ...podA, labels: { app: 'b' } } }, ['foo/statefulset/a']],
  ['a label lost', { kind: 'pod', before: podA, after: { ...podA, labels: {} } }, ['foo/statefulset/a']],
  ['a label that no selector names', { kind: 'pod', before: podA, after: { ...podA, labels: { app: 'a', x: 'y' } } }, []],
  ['a pod that changed in nothing that counts', { kind: 'pod', before: podA, after: { ...podA, podIP: '10.0.0.1', phase: 'Running' } }, []],
  ['a pod that ended', { kind: 'pod', before: { ...podA, phase: 'Running' }, after: { ...podA, phase: 'Failed' } }, ['foo/statefulset/a']],
  [
    'a pod adopted by another owner',
    { kind: 'pod', before: podA, after: { ...podA, owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'c', uid: 'c' } } },
    ['foo/statefulset/a', 'foo/statefulset/c'],
  ],
];

describe('Selection.apply', () => {
  for (const [what, change, expected] of CHANGES) {
    it(`returns the affected workloads: ${what}`, () => {
      const policies = [byLabel, alsoByLabel].map((after): Change => ({ kind: 'policy', after }));
      expect([...selectionOf([...podsAreThere, ...policies]).apply(change).workloads].sort()).to.deep.equal(expected);
    });
  }

  it('knows labels that no selector named when the pod got them', () => {
    const selection = selectionOf(podsAreThere);
    selection.apply({ kind: 'pod', before: podA, after: { ...podA, labels: { app: 'a', x: 'y' } } });
    expect(selection.labelSetsOf('foo/statefulset/a')).to.deep.equal([{ app: 'a', x: 'y' }]);

    const policy = allow('p', { labels: { x: 'y' } });
    expect([...selection.apply({ kind: 'policy', after: policy }).workloads]).to.deep.equal(['foo/statefulset/a']);
    const relabelled = { ...podA, labels: { app: 'a', x: 'z' } };
    const affected = selection.apply({ kind: 'pod', before: { ...podA, labels: { app: 'a', x: 'y' } }, after: relabelled });
    expect([...affected.policies]).to.deep.equal([policyKeyOf(policy)]);
    expect([...selection.workloadsOf(policyKeyOf(policy))]).to.deep.equal([]);
  });

  for (const [namespace, expected] of [
    ['istio-system', ['foo/statefulset/a']],
    ['foo', ['foo/statefulset/a']],
    ['bar', []],
  ] as const) {
    it(`compares labels with the selectors of ${namespace}`, () => {
      const selection = selectionOf([...podsAreThere, { kind: 'policy', after: allow('p', { namespace, labels: { x: 'y' } }) }]);
      const after = { ...podA, labels: { app: 'a', x: 'z' } };

      expect([...selection.apply({ kind: 'pod', before: podA, after }).workloads]).to.deep.equal(expected);
    });
  }

  it('returns the policies that select other workloads than before', () => {
    const all = allow('all');
    const a = allow('a', { labels: { app: 'a' } });
    const b = allow('b', { labels: { app: 'b' } });
    const selection = selectionOf([all, a, b].map((after): Change => ({ kind: 'policy', after })));
    const names = (change: Change): string[] =>
      [...selection.apply(change).policies].map((key) => key.slice('AuthorizationPolicy/foo/'.length));

    expect(names({ kind: 'pod', after: podA })).to.have.members(['all', 'a']);
    expect(names({ kind: 'pod', before: podA, after: { ...podA, labels: { app: 'b' } } })).to.have.members(['a', 'b']);
    expect(names({ kind: 'pod', after: podOf('a', { app: 'b', hash: '2' }, { name: 'a-1' }) })).to.deep.equal([]);
    expect(names({ kind: 'policy', before: a, after: allow('a') })).to.deep.equal(['a']);
    expect(names({ kind: 'mesh' })).to.have.members(['all', 'a', 'b']);
  });

  it('changes nothing more when the same change is applied again', () => {
    const selection = selectionOf([...podsAreThere, ...podsAreThere, { kind: 'pod', before: podA }]);
    expect([...selection.workloads()]).to.have.members(['foo/statefulset/b', 'bar/statefulset/a']);
  });
});

describe('Selection', () => {
  const meshWide = allow('mesh-wide', { namespace: ROOT });
  const key = policyKeyOf(byLabel);

  it('knows nothing of unknown policies and workloads', () => {
    const selection = selectionOf([]);
    expect(selection.workloadsOf('AuthorizationPolicy/foo/none').size).to.equal(0);
    expect(selection.workloadsWithoutAgentOf('AuthorizationPolicy/foo/none').size).to.equal(0);
    expect(selection.policiesOf('foo/statefulset/none').size).to.equal(0);
    expect(selection.labelSetsOf('foo/statefulset/none')).to.deep.equal([]);
    expect(selection.workloads().size).to.equal(0);
  });

  it('knows the policies of a workload that was asked about before, after every kind of change', () => {
    const later = podOf('b', { app: 'a' }, { name: 'b-2' });
    const sequence: readonly Change[] = [
      ...podsAreThere,
      { kind: 'policy', after: byLabel },
      { kind: 'pod', before: podA, after: { ...podA, labels: { app: 'b' } } },
      { kind: 'policy', after: allow('root', { namespace: ROOT }) },
      { kind: 'pod', after: later },
      { kind: 'policy', before: byLabel, after: allow('by-label', { labels: { app: 'b' } }) },
      { kind: 'pod', before: later, after: withoutAgent(later) },
      { kind: 'pod', before: { ...podA, labels: { app: 'b' } } },
      { kind: 'policy', before: allow('root', { namespace: ROOT }) },
    ];
    const workloads = ['foo/statefulset/a', 'foo/statefulset/b', 'bar/statefulset/a'];
    const asked = createSelection(() => ROOT);
    sequence.forEach((change, at) => {
      asked.apply(change);
      const fresh = selectionOf(sequence.slice(0, at + 1));
      for (const workload of workloads) {
        expect([...asked.policiesOf(workload).entries()], `change ${at} of ${workload}`).to.deep.equal([
          ...fresh.policiesOf(workload).entries(),
        ]);
      }
    });
  });

  it('relates policies and workloads in both directions', () => {
    const selection = selectionOf([...podsAreThere, { kind: 'policy', after: byLabel }, { kind: 'policy', after: meshWide }]);
    expect([...selection.workloadsOf(key)]).to.deep.equal(['foo/statefulset/a']);
    expect([...selection.workloadsOf(policyKeyOf(meshWide))]).to.have.members([
      'foo/statefulset/a',
      'foo/statefulset/b',
      'bar/statefulset/a',
    ]);
    expect([...selection.policiesOf('foo/statefulset/a').values()]).to.have.members([byLabel, meshWide]);
    expect([...selection.policiesOf('foo/statefulset/b').keys()]).to.deep.equal([policyKeyOf(meshWide)]);
  });

  it('names the workloads where a selected pod has no agent', () => {
    const bare = withoutAgent(podOf('a', { app: 'a' }, { name: 'a-1' }));
    const selection = selectionOf([...podsAreThere, { kind: 'policy', after: byLabel }, { kind: 'pod', after: bare }]);
    expect([...selection.workloadsOf(key)]).to.deep.equal(['foo/statefulset/a']);
    expect([...selection.workloadsWithoutAgentOf(key)]).to.deep.equal(['foo/statefulset/a']);
    selection.apply({ kind: 'pod', before: bare, after: { ...bare, phase: 'Succeeded' } });
    expect(selection.workloadsWithoutAgentOf(key).size).to.equal(0);
  });

  it('follows the root namespace when the mesh settings change', () => {
    let root = ROOT;
    const selection = createSelection(() => root);
    for (const change of podsAreThere) selection.apply(change);
    selection.apply({ kind: 'policy', after: meshWide });
    expect(selection.workloadsOf(policyKeyOf(meshWide)).size).to.equal(3);
    root = 'foo';
    expect([...selection.apply({ kind: 'mesh' }).workloads]).to.have.members([
      'foo/statefulset/a',
      'foo/statefulset/b',
      'bar/statefulset/a',
    ]);
    expect(selection.workloadsOf(policyKeyOf(meshWide)).size).to.equal(0);
  });

  it('keeps a policy findable when another one with the same label pair goes', () => {
    const selection = selectionOf([
      ...podsAreThere,
      { kind: 'policy', after: byLabel },
      { kind: 'policy', after: alsoByLabel },
      { kind: 'policy', before: byLabel },
    ]);
    expect([...selection.policiesFor('foo', { app: 'a' }).values()]).to.deep.equal([alsoByLabel]);
  });
});
