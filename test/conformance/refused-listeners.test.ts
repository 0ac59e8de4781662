/*
 * Cases that Istio admitted and whose listener Envoy refused as a whole: a policy of each is refused here, or its status says that
 * its keys are not usable. And of no other case.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { policyFindings } from '../../src/api/istio/accept-policy.ts';
import { buildCase, resourceName } from './build-case.ts';
import { type RecordedCase, readCases } from './case-file.ts';

const CASES = ['cases', 'random', 'found'].flatMap((name) => readCases(join(import.meta.dirname, name)));

/** Errors of the policies that were applied. */
function refusals(recorded: RecordedCase): readonly string[] {
  const rejected = new Set((recorded.istio.rejected ?? []).map(({ resource }) => resource));
  return recorded.resources
    .filter((resource) => !rejected.has(resourceName(resource)))
    .flatMap((resource) => policyFindings(resource, 'cluster').filter(({ stage }) => stage === 'envoy'))
    .map(({ path, message }) => `${path}: ${message}`);
}

/** Inline key sets without a usable key: `jwks-without-usable-key`. */
function hasUnusableKeys(recorded: RecordedCase): boolean {
  const { bundle } = buildCase(recorded);
  return bundle.programs.some(({ providers }) => providers.some(({ keySet }) => !Object.hasOwn(bundle.keySets, keySet)));
}

describe('listeners that Envoy refused', () => {
  for (const recorded of CASES.filter(({ istio }) => istio.envoyRejected !== undefined)) {
    it(`${recorded.file}: the policy is refused, or has no usable key`, () => {
      expect(refusals(recorded).length > 0 || hasUnusableKeys(recorded)).to.equal(true);
    });
  }

  it('are those of no other case', () => {
    const served = CASES.filter(({ istio }) => istio.envoyRejected === undefined);
    expect(served.map(refusals).filter((found) => found.length > 0)).to.deep.equal([]);
    expect(served.length).to.be.above(400);
  });
});
