/* The program for the labels of a pod, with and without an index of selectors. */
import { expect } from 'chai';
import fc from 'fast-check';
import { chooseProgram } from '../../../../src/agent/bundles/choose-program.ts';
import type { Policy } from '../../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../../src/api/mesh-config.ts';
import type { LabelIndex, Selector } from '../../../../src/bundle/label-index.ts';
import { compileWorkload } from '../../../../src/compile/compile-workload.ts';
import { lowerPolicies } from '../../../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../../../src/policy/model/program.ts';
import { distinctSelectors } from '../../../../src/resolve/selectors.ts';
import { selectFrom } from '../../../support/select-policies.ts';
import { allow } from '../../resolve/policies.ts';
import { ALLOW_ALL, bundleOf, DENY_ALL } from '../bundles.ts';

function indexOf(...selectors: readonly Selector[]): LabelIndex {
  return { namespace: 'foo', selectors };
}

describe('chooseProgram', () => {
  const bundle = bundleOf(
    [DENY_ALL, ALLOW_ALL],
    [
      { labels: {}, program: 0 },
      { labels: { app: '' }, program: 1 },
    ],
  );
  const none = { kind: 'none' };

  it('distinguishes an absent label from an empty one', () => {
    expect(chooseProgram(bundle, {}, undefined)).to.deep.equal({ kind: 'program', program: DENY_ALL });
    expect(chooseProgram(bundle, { app: '' }, undefined)).to.deep.equal({ kind: 'program', program: ALLOW_ALL });
    expect(chooseProgram(bundle, { app: 'x' }, undefined)).to.deep.equal(none);
  });

  it('does not match labels with names of the object prototype', () => {
    const odd = bundleOf([DENY_ALL], [{ labels: { constructor: 'x' }, program: 0 }]);
    expect(chooseProgram(odd, {}, undefined)).to.deep.equal(none);
    expect(chooseProgram(bundleOf([DENY_ALL], [{ labels: {}, program: 0 }]), {}, indexOf({ constructor: 'x' })).kind).to.equal('program');
  });

  it('needs no labels when there is only one variant', () => {
    expect(chooseProgram(bundle, undefined, undefined)).to.deep.equal(none);
    expect(chooseProgram(bundleOf([DENY_ALL], [{ labels: { a: 'b' }, program: 0 }]), undefined, undefined).kind).to.equal('program');
  });

  it('has no program for labels that a selector names which the bundle does not know', () => {
    const index = indexOf({ tier: 'restricted' });
    const plain = bundleOf([ALLOW_ALL], [{ labels: {}, program: 0 }]);

    expect(chooseProgram(plain, { app: 'web' }, index).kind).to.equal('program');
    expect(chooseProgram(plain, { app: 'web', tier: 'other' }, index).kind).to.equal('program');
    expect(chooseProgram(plain, { app: 'web', tier: 'restricted' }, index)).to.deep.equal({
      kind: 'unmatched',
      selector: { tier: 'restricted' },
    });
  });

  it('takes a value that no selector names for any other such value', () => {
    const variants = bundleOf(
      [DENY_ALL, ALLOW_ALL],
      [
        { labels: { version: 'v1' }, program: 0 },
        { labels: { version: 'v2' }, program: 1 },
      ],
    );
    const index = indexOf({ version: 'v1' }, { version: 'v4' });

    expect(chooseProgram(variants, { version: 'v3' }, index)).to.deep.equal({ kind: 'program', program: ALLOW_ALL });
    expect(chooseProgram(variants, {}, index)).to.deep.equal({ kind: 'program', program: ALLOW_ALL });
    expect(chooseProgram(variants, { version: 'v4' }, index)).to.deep.equal({ kind: 'unmatched', selector: { version: 'v4' } });
  });

  it('does not guess when the index is older than the bundle', () => {
    const variants = bundleOf(
      [DENY_ALL, ALLOW_ALL],
      [
        { labels: { version: 'v1' }, program: 0 },
        { labels: { version: 'v2' }, program: 1 },
      ],
    );

    expect(chooseProgram(variants, { version: 'v1' }, indexOf()).kind).to.equal('program');
    expect(chooseProgram(variants, { version: 'v3' }, indexOf()).kind).to.equal('unmatched');
  });

  it('gives exactly the program of the policies that select the labels, or none (property)', () => {
    const labels = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2', '3'), { maxKeys: 3 });
    const place = fc.record({ namespace: fc.constantFrom('foo', 'istio-system'), labels: fc.option(labels, { nil: undefined }) });
    const programFor = (policies: readonly Policy[], own: Selector): Program =>
      lowerPolicies({ namespace: 'foo', policies: selectFrom(policies)(own), mesh: DEFAULT_MESH_CONFIG, keySetId: () => '' }).program;
    let chosen = 0;
    let unmatched = 0;
    fc.assert(
      fc.property(fc.array(place, { maxLength: 5 }), fc.array(labels, { minLength: 1, maxLength: 3 }), labels, (places, pods, own) => {
        const policies = places.map((where, at) =>
          allow(
            `p${at}`,
            { namespace: where.namespace, ...(where.labels === undefined ? {} : { labels: where.labels }) },
            { action: 'DENY', rules: [{}] },
          ),
        );
        const compiled = compileWorkload({
          workload: { namespace: 'foo', name: 'w' } as Parameters<typeof compileWorkload>[0]['workload'],
          labelSets: pods,
          policiesFor: selectFrom(policies),
          mesh: DEFAULT_MESH_CONFIG,
          keySetOf: () => undefined,
        });
        const index = indexOf(...distinctSelectors(policies).values());
        const choice = chooseProgram(compiled.bundle, own, index);
        const wanted = programFor(policies, own);
        if (choice.kind === 'program') {
          chosen += 1;
          expect(choice.program).to.deep.equal(wanted);
        } else {
          unmatched += 1;
          expect(pods.map((pod) => programFor(policies, pod))).not.to.deep.include(wanted);
        }
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(chosen, unmatched)).to.be.greaterThan(50);
  });
});
