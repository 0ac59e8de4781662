/* Admission returns findings for every object: nothing throws, and nothing pollutes other objects. */
import { expect } from 'chai';
import { acceptPolicy } from '../../../src/api/istio/accept-policy.ts';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { hasErrors, validatePolicy } from '../../../src/api/istio/validate-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { lintPolicies } from '../../../src/lint/lint-policies.ts';
import type { AdmissionRequest } from '../../../src/webhook/admission.ts';
import { reviewPolicy } from '../../../src/webhook/validate.ts';
import { GROWING_POLICIES, ODD_POLICIES } from './hostile-policies.ts';

function tryAll(object: unknown): void {
  const findings = validatePolicy(object);
  const { value, findings: parsed } = parsePolicy(object);
  expect(value === undefined).to.equal(hasErrors(parsed));
  if (value === undefined) expect(hasErrors(findings)).to.equal(true);
  else lintPolicies([value], { rootNamespace: 'istio-system', pathNormalization: 'DECODE_AND_MERGE_SLASHES' });
  acceptPolicy(undefined, object);
  const request = {
    uid: '1',
    namespace: 'foo',
    operation: 'CREATE',
    isDryRun: false,
    object: object as AdmissionRequest['object'],
    groups: [],
  } as const;
  reviewPolicy(request, { mesh: DEFAULT_MESH_CONFIG, portsFor: () => new Set([8080]), whyOverBudget: () => undefined });
}

describe('a hostile policy', () => {
  for (const [what, object] of Object.entries(ODD_POLICIES)) {
    it(`gets findings when it is ${what}`, () => {
      tryAll(object);
      expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined);
    });
  }
  for (const [what, [size, make]] of Object.entries(GROWING_POLICIES)) {
    it(`gets findings in time when it is ${what}`, () => {
      tryAll(make(size));
    });
  }

  it('has unknown members when they are called __proto__', () => {
    const { value } = parsePolicy(ODD_POLICIES['members called __proto__']);

    expect(value?.kind === 'AuthorizationPolicy' && value.spec.action).to.equal('DENY');
    expect(value?.metadata.annotations).to.equal(undefined);
    expect(value?.kind === 'AuthorizationPolicy' && Object.keys(value.spec.rules?.[0] ?? { x: 1 })).to.deep.equal([]);
    expect(value?.spec.selector?.matchLabels).to.have.own.property('__proto__', 'a');
  });
});
