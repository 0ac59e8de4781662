/* Whether a policy applies to a pod. */
import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { isInScope, matchesLabels, relevantLabelKeys, selectsPod } from '../../../src/resolve/policy-applies.ts';
import { createSelection } from '../../../src/resolve/selection.ts';
import { allow } from './policies.ts';

const ROOT = 'istio-system';
const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' };
const gatewayLabels = { 'gateway.networking.k8s.io/gateway-name': 'edge', app: 'edge' };

const CASES: readonly (readonly [string, Policy, { namespace: string; labels: Record<string, string> }, boolean])[] = [
  ['its own namespace, no selector', allow('p'), { namespace: 'foo', labels: {} }, true],
  ['another namespace', allow('p'), { namespace: 'bar', labels: {} }, false],
  ['the root namespace, no selector', allow('p', { namespace: ROOT }), { namespace: 'bar', labels: {} }, true],
  [
    'the root namespace, selector that fits',
    allow('p', { namespace: ROOT, labels: { a: 'b' } }),
    { namespace: 'bar', labels: { a: 'b', c: 'd' } },
    true,
  ],
  [
    'the root namespace, selector that does not',
    allow('p', { namespace: ROOT, labels: { a: 'b' } }),
    { namespace: 'bar', labels: { a: 'B' } },
    false,
  ],
  ['an empty selector', allow('p', { labels: {} }), { namespace: 'foo', labels: { a: 'b' } }, true],
  ['a selector of two labels, one there', allow('p', { labels: { a: 'b', c: 'd' } }), { namespace: 'foo', labels: { a: 'b' } }, false],
  ['a selector of an empty value, label absent', allow('p', { labels: { a: '' } }), { namespace: 'foo', labels: {} }, false],
  ['a selector of an empty value, label empty', allow('p', { labels: { a: '' } }), { namespace: 'foo', labels: { a: '' } }, true],
  ['a label named like a member of every object', allow('p', { labels: { constructor: 'x' } }), { namespace: 'foo', labels: {} }, false],
  ['targetRefs, ordinary pod', allow('p', {}, { targetRefs: [gateway] }), { namespace: 'foo', labels: { app: 'edge' } }, false],
  ['targetRefs, pod of that gateway', allow('p', {}, { targetRefs: [gateway] }), { namespace: 'foo', labels: gatewayLabels }, true],
  [
    'targetRefs, pod of another gateway',
    allow('p', {}, { targetRefs: [{ ...gateway, name: 'x' }] }),
    { namespace: 'foo', labels: gatewayLabels },
    false,
  ],
  [
    'targetRefs in the root namespace, gateway elsewhere',
    allow('p', { namespace: ROOT }, { targetRefs: [gateway] }),
    { namespace: 'foo', labels: gatewayLabels },
    false,
  ],
  [
    'targetRefs of a Service, gateway pod',
    allow('p', {}, { targetRefs: [{ kind: 'Service', name: 'edge' }] }),
    { namespace: 'foo', labels: gatewayLabels },
    false,
  ],
  ['a selector, gateway pod', allow('p', { labels: { app: 'edge' } }), { namespace: 'foo', labels: gatewayLabels }, true],
  ['no targetRefs in an empty list', allow('p', {}, { targetRefs: [] }), { namespace: 'foo', labels: {} }, true],
];

describe('isInScope and selectsPod', () => {
  for (const [what, policy, pod, expected] of CASES) {
    it(`${expected ? 'apply' : 'do not apply'} a policy: ${what}`, () => {
      expect(isInScope(policy, pod.namespace, ROOT) && selectsPod(policy, pod.namespace, pod.labels)).to.equal(expected);
    });

    it(`agree with Selection: ${what}`, () => {
      const selection = createSelection(() => ROOT);
      selection.apply({ kind: 'policy', after: policy });
      expect(selection.policiesFor(pod.namespace, pod.labels).size).to.equal(expected ? 1 : 0);
    });
  }
});

describe('isInScope', () => {
  it('reaches pods of the root namespace from the root namespace only', () => {
    const policies = [allow('a', { namespace: ROOT }), allow('b'), allow('c', { namespace: 'bar' })];
    const inScope = (namespace: string): string[] =>
      policies.filter((policy) => isInScope(policy, namespace, ROOT)).map(({ metadata }) => metadata.name);

    expect(inScope('foo')).to.deep.equal(['a', 'b']);
    expect(inScope(ROOT)).to.deep.equal(['a']);
  });
});

describe('relevantLabelKeys', () => {
  it('returns the keys of selectors sorted, without duplicates, and the label of gateways for targetRefs', () => {
    const policies = [allow('a', { labels: { b: '1', a: '2' } }), allow('b', { labels: { b: '2' } }), allow('c')];

    expect(relevantLabelKeys(policies)).to.deep.equal(['a', 'b']);
    expect(relevantLabelKeys([allow('d', {}, { targetRefs: [gateway] })])).to.deep.equal(['gateway.networking.k8s.io/gateway-name']);
    expect(relevantLabelKeys([])).to.deep.equal([]);
  });

  it('returns every key that selectsPod looks at', () => {
    for (const [what, policy, pod] of CASES) {
      const keys = relevantLabelKeys([policy]);
      const restricted = Object.fromEntries(Object.entries(pod.labels).filter(([key]) => keys.includes(key)));
      expect(selectsPod(policy, pod.namespace, restricted), what).to.equal(selectsPod(policy, pod.namespace, pod.labels));
    }
  });
});

describe('matchesLabels', () => {
  it('treats an absent selector like an empty one', () => {
    expect(matchesLabels(undefined, { a: 'b' })).to.equal(true);
  });
});
