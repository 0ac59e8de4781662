/* Pods of one workload grouped by what policies see of their labels. */

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

  it('makes one group of pods that differ only in labels nobody asks for', () => {
    const { relevantLabels, groups } = groupByRelevantLabels(
      [{ 'pod-template-hash': '1' }, { 'pod-template-hash': '2' }],
      policiesFor([all]),
    );

    expect(relevantLabels).to.deep.equal([]);
    expect(groups).to.deep.equal([{ labels: {}, policies: [all] }]);
  });

  it('parts pods that a selector parts, sorted by their labels', () => {
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

  it('does not hear of policies that select none of the pods', () => {
    const without = groupByRelevantLabels([{ app: 'a', version: 'v1' }], policiesFor([v1]));

    expect(groupByRelevantLabels([{ app: 'a', version: 'v1' }], policiesFor([v1, v2, elsewhere]))).to.deep.equal(without);
  });

  it('gives one group for a workload without pods', () => {
    expect(groupByRelevantLabels([], policiesFor([all, v1])).groups).to.deep.equal([{ labels: {}, policies: [all] }]);
  });
});

describe('restrictLabels', () => {
  it('keeps the keys that are there', () => {
    expect(restrictLabels({ b: '', a: '1', c: '2' }, ['a', 'b', 'x'])).to.deep.equal({ a: '1', b: '' });
  });
});
