import { expect } from 'chai';
import { editedPods } from '../../../src/resolve/edited-pods.ts';
import { createSelection, type Selection } from '../../../src/resolve/selection.ts';
import { allow, podOf } from './policies.ts';

const ROOT = 'istio-system';

function selectionOf(policies: Parameters<Selection['apply']>[0][], pods: readonly ReturnType<typeof podOf>[]): Selection {
  const selection = createSelection(() => ROOT);
  for (const change of policies) selection.apply(change);
  for (const pod of pods) selection.apply({ kind: 'pod', after: pod });
  return selection;
}

/** Workload, and names of the policies before and after. */
function edited(policy: ReturnType<typeof allow>, selection: Selection): readonly (readonly [string, string, string])[] {
  const names = (policies: readonly { readonly metadata: { readonly name: string } }[]): string =>
    policies
      .map(({ metadata }) => metadata.name)
      .toSorted()
      .join();
  return editedPods(policy, selection, ROOT).pods.map(({ workload, before, after }) => [workload, names(before), names(after)]);
}

describe('editedPods', () => {
  const other = allow('other');
  const web = podOf('web', { app: 'web' });
  const api = podOf('api', { app: 'api' });

  it('gives the pods that a new policy selects', () => {
    const selection = selectionOf([{ kind: 'policy', after: other }], [web, api]);

    expect(edited(allow('new', { labels: { app: 'web' } }), selection)).to.deep.equal([['foo/statefulset/web', 'other', 'new,other']]);
  });

  it('gives the pods that a policy selects no more, and those that it selects now', () => {
    const selection = selectionOf([{ kind: 'policy', after: allow('own', { labels: { app: 'web' } }) }], [web, api]);

    expect(edited(allow('own', { labels: { app: 'api' } }), selection)).to.have.deep.members([
      ['foo/statefulset/web', 'own', ''],
      ['foo/statefulset/api', '', 'own'],
    ]);
  });

  it('replaces the policy by the edited one', () => {
    const selection = selectionOf([{ kind: 'policy', after: allow('own') }], [web]);
    const { pods } = editedPods(allow('own', {}, { action: 'DENY' }), selection, ROOT);

    expect(pods.map(({ after }) => after.map(({ spec }) => 'action' in spec && spec.action))).to.deep.equal([['DENY']]);
  });

  it('gives one pod of all with the same policies, in every namespace for the root namespace', () => {
    const far = podOf('far', { app: 'far' }, { namespace: 'bar' });
    const selection = selectionOf([], [web, api, far]);

    expect(edited(allow('new'), selection)).to.have.lengthOf(1);
    expect(edited(allow('root', { namespace: ROOT }), selection)).to.have.lengthOf(2);
    expect(edited(allow('new', { namespace: 'empty' }), selection)).to.deep.equal([]);
  });

  it('says when there are too many sets of policies', () => {
    const pods = Array.from({ length: 21 }, (_, at) => podOf(`p${at}`, { app: `p${at}` }));
    const policies = pods.map(({ labels }, at) => ({ kind: 'policy' as const, after: allow(`a${at}`, { labels }) }));

    expect(editedPods(allow('new'), selectionOf(policies, pods), ROOT)).to.include({ isCut: true });
    expect(editedPods(allow('new'), selectionOf(policies.slice(1), pods.slice(1)), ROOT)).to.include({ isCut: false });
  });

  it('gives no more policies than the thread of admission has memory for', () => {
    const pods = Array.from({ length: 20 }, (_, at) => podOf(`p${at}`, { app: `p${at}` }));
    const rules = [{ to: [{ operation: { paths: Array.from({ length: 10_000 }, (_, at) => `/${'a'.repeat(50)}/${at}`) } }] }];
    const policies = pods.map(({ labels }, at) => ({ kind: 'policy' as const, after: allow(`a${at}`, { labels }, { rules }) }));
    const found = editedPods(allow('new'), selectionOf(policies, pods), ROOT);

    expect(found.isCut).to.equal(true);
    expect(found.pods).to.have.lengthOf(2);
    expect(editedPods(allow('new', {}, { rules }), selectionOf([], pods), ROOT)).to.include({ isCut: false });
    // One policy alone may be too large.
    const large = [{ to: [{ operation: { paths: Array.from({ length: 100_000 }, (_, at) => `/${at}`) } }] }];
    expect(editedPods(allow('new', {}, { rules: large }), selectionOf([], pods), ROOT)).to.deep.equal({ pods: [], isCut: true });
  });

  it('counts a policy of several sets once', () => {
    const pods = Array.from({ length: 10 }, (_, at) => podOf(`p${at}`, { app: `p${at}` }));
    const rules = [{ to: [{ operation: { paths: Array.from({ length: 10_000 }, (_, at) => `/${'a'.repeat(50)}/${at}`) } }] }];
    const policies = pods.map(({ labels }, at) => ({ kind: 'policy' as const, after: allow(`a${at}`, { labels }) }));

    expect(editedPods(allow('new', {}, { rules }), selectionOf(policies, pods), ROOT).pods).to.have.lengthOf(10);
  });
});
