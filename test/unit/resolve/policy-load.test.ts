import { expect } from 'chai';
import fc from 'fast-check';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { selectsPod } from '../../../src/resolve/policy-applies.ts';
import { createLabelValues, createPolicyLoad, NO_SIZE, type PolicySize, policyPart, sumOf } from '../../../src/resolve/policy-load.ts';
import { allow } from './policies.ts';

const ONE: PolicySize = { bytes: 1, packedBytes: 1, rules: 1, values: 1 };

function times(count: number): PolicySize {
  return { bytes: count, packedBytes: count, rules: count, values: count };
}

function loadOf(policies: readonly Policy[], size: (at: number) => PolicySize = () => ONE): PolicySize {
  const parts = policies.map((policy, at) => policyPart(policy, size(at)));
  const nothing = policyPart(allow('nothing'), NO_SIZE);
  const labels = createLabelValues();
  for (const part of [...parts, ...parts]) labels.add(part);
  for (const part of parts) labels.remove(part);
  const load = createPolicyLoad(labels);
  for (const part of parts) {
    const expected = load.with(part);
    load.add(part);
    expect(load.with(nothing)).to.deep.equal(expected);
  }
  return load.with(nothing);
}

describe('load of policies', () => {
  it('counts policies for different values of a label once, and those without a selector always', () => {
    const own = ['a', 'b', 'c'].map((app) => allow(app, { labels: { app } }));

    expect(loadOf(own)).to.deep.equal(times(1));
    expect(loadOf([...own, allow('all'), allow('second-of-a', { labels: { app: 'a' } })])).to.deep.equal(times(3));
  });

  it('compares a policy by the label that distinguishes most policies', () => {
    const policies = ['a', 'b', 'c'].map((app) => allow(app, { labels: { 'a-shared': 'x', app } }));

    expect(loadOf(policies)).to.deep.equal(times(1));
  });

  it('counts a policy with targets for gateways only', () => {
    const targets = (...names: readonly string[]): Policy => {
      const { metadata, spec, kind } = allow(names.join('-'));
      return {
        kind,
        metadata,
        spec: { ...spec, targetRefs: names.map((name) => ({ group: 'gateway.networking.k8s.io', kind: 'Gateway', name })) },
      };
    };

    expect(loadOf([targets('a', 'b'), targets('b'), targets('c')])).to.deep.equal(times(2));
  });

  it('is never less than what the policies of any pod take', () => {
    const labels = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2'), { maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(labels, { maxLength: 8 }), labels, (selectors, pod) => {
        const policies = selectors.map((selector, at) => allow(`p${at}`, Object.keys(selector).length === 0 ? {} : { labels: selector }));
        const size = (at: number): PolicySize => ({ bytes: at, packedBytes: 1, rules: 10 - at, values: at % 3 });
        const sizes = policies.map((policy, at) => (selectsPod(policy, 'foo', pod) ? size(at) : NO_SIZE));
        const actual = sizes.reduce(sumOf, NO_SIZE);
        const bound = loadOf(policies, size);
        for (const member of ['bytes', 'packedBytes', 'rules', 'values'] as const) expect(bound[member]).to.be.at.least(actual[member]);
      }),
    );
  });
});
