/* Pods of one workload, grouped by the labels that its policies look at. */

import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { type Labels, selectsPod } from '../../../src/resolve/policy-applies.ts';
import { groupByRelevantLabels, restrictLabels } from '../../../src/resolve/variants.ts';
import { allow } from './policies.ts';

const names = (policies: readonly { readonly metadata: { readonly name: string } }[]): string[] =>
  policies.map(({ metadata }) => metadata.name);

const policiesFor =
  (policies: readonly Policy[]) =>
  (labels: Labels): readonly Policy[] =>
    policies.filter((policy) => selectsPod(policy, 'foo', labels));

describe('groupByRelevantLabels', () => {
  const all = allow('all');
  const v1 = allow('v1', { labels: { version: 'v1' } });
  const v2 = allow('v2', { labels: { version: 'v2' } });
  const elsewhere = allow('elsewhere', { labels: { app: 'other', tier: 'x' } });

  it('returns one group when pods differ only in labels that no policy looks at', () => {
    const { relevantLabels, groups } = groupByRelevantLabels(
      [{ 'pod-template-hash': '1' }, { 'pod-template-hash': '2' }],
      policiesFor([all]),
    );

    expect(relevantLabels).to.deep.equal([]);
    expect(groups).to.deep.equal([{ labels: {}, policies: [all] }]);
  });

  it('splits pods that a selector distinguishes, sorted by their labels', () => {
    const sets = [{ version: 'v2', a: '1' }, { version: 'v1' }, {}, { version: 'v1', a: '2' }];
    const { relevantLabels, groups } = groupByRelevantLabels(sets, policiesFor([all, v1, v2]));

    expect(relevantLabels).to.deep.equal(['version']);
    expect(groups.map(({ labels, policies }) => [labels, names(policies)])).to.deep.equal([
      [{ version: 'v1' }, ['all', 'v1']],
      [{ version: 'v2' }, ['all', 'v2']],
      [{}, ['all']],
    ]);
    expect(groupByRelevantLabels(sets.reverse(), policiesFor([all, v1, v2]))).to.deep.equal({ relevantLabels, groups });
  });

  it('ignores policies that select none of the pods', () => {
    const without = groupByRelevantLabels([{ app: 'a', version: 'v1' }], policiesFor([v1]));

    expect(groupByRelevantLabels([{ app: 'a', version: 'v1' }], policiesFor([v1, v2, elsewhere]))).to.deep.equal(without);
  });

  it('returns one group for a workload without pods', () => {
    expect(groupByRelevantLabels([], policiesFor([all, v1])).groups).to.deep.equal([{ labels: {}, policies: [all] }]);
  });
});

describe('restrictLabels', () => {
  it('keeps the given keys that the labels have', () => {
    expect(restrictLabels({ b: '', a: '1', c: '2' }, ['a', 'b', 'x'])).to.deep.equal({ a: '1', b: '' });
  });
});
