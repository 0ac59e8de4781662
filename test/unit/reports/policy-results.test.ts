import { expect } from 'chai';
import type { Finding } from '../../../src/errors.ts';
import { policyResults } from '../../../src/reports/policy-results.ts';
import type { PolicyEntry } from '../../../src/state/cluster-state.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { NO_FACTS } from '../../../src/status/policy-facts.ts';

const ENTRY: PolicyEntry = {
  key: 'AuthorizationPolicy/foo/p',
  kind: 'AuthorizationPolicy',
  namespace: 'foo',
  name: 'p',
  uid: 'u1',
  generation: 3,
  findings: [],
  isValid: true,
  isCandidateValid: true,
};
const finding = (severity: Finding['severity'], code: Finding['code'] = 'SP_VALUE'): Finding => ({
  code,
  severity,
  path: 'spec.rules[0]',
  message: 'odd',
  hint: 'fix it',
});
const SHORT = { workload: 'foo/deployment/web', message: 'why' };

function shown(entry: Partial<PolicyEntry>, facts: Partial<PolicyFacts>): readonly string[] {
  return policyResults({ ...ENTRY, ...entry }, { ...NO_FACTS, ...facts }).map(
    ({ category, result, severity, rule, message, resources: [{ kind, namespace, name }] }) =>
      `${category} ${result} ${severity} ${rule} ${kind} ${namespace}/${name}: ${message}`,
  );
}

describe('results of a policy', () => {
  const rows: readonly (readonly [name: string, entry: Partial<PolicyEntry>, facts: Partial<PolicyFacts>, results: readonly string[]])[] = [
    ['are empty without findings', {}, { published: ['foo/deployment/web'] }, []],
    [
      'leave out what passes by itself',
      {},
      { waiting: ['foo/deployment/web'], starting: ['foo/deployment/web'], keys: [{ kind: 'pending', rule: 0, reason: 'fetching' }] },
      [],
    ],
    [
      'have the findings of a policy that is not accepted',
      { isValid: false, findings: [finding('error')] },
      {},
      ['Policy error high SP_VALUE AuthorizationPolicy foo/p: spec.rules[0]: odd (fix it)'],
    ],
    [
      'have warnings and infos of the policy and of the compiler',
      { findings: [finding('warning')] },
      { findings: [finding('info', 'SP_NEVER_MATCHES')] },
      [
        'Policy warn medium SP_VALUE AuthorizationPolicy foo/p: spec.rules[0]: odd (fix it)',
        'Policy warn info SP_NEVER_MATCHES AuthorizationPolicy foo/p: spec.rules[0]: odd (fix it)',
      ],
    ],
    [
      'report what is over its budget as an error',
      { refusal: { ...finding('warning', 'SP_OVER_BUDGET'), path: '' } },
      {},
      ['Policy error high SP_OVER_BUDGET AuthorizationPolicy foo/p: odd (fix it)'],
    ],
    [
      'report providers that cannot be called, and secrets that are withheld',
      {},
      {
        provider: { reason: 'ProviderUnknown', message: 'no such provider' },
        withheld: { reason: 'ProviderWithheld', message: 'a secret' },
      },
      [
        'Policy error high ProviderUnknown AuthorizationPolicy foo/p: no such provider',
        'Policy error high ProviderWithheld AuthorizationPolicy foo/p: a secret',
      ],
    ],
    [
      'report keys with what they mean for tokens',
      {},
      {
        keys: [
          { kind: 'unavailable', rule: 0, reason: 'ENOTFOUND' },
          { kind: 'stale', rule: 1, reason: 'HTTP 500' },
          { kind: 'left-out', rule: 2, reason: 'RSA 512' },
        ],
      },
      [
        'Policy error high KeysUnavailable AuthorizationPolicy foo/p: spec.jwtRules[0]: ENOTFOUND; there are no keys, so every token for this rule is rejected',
        'Policy warn medium KeysStale AuthorizationPolicy foo/p: spec.jwtRules[1]: HTTP 500; the last good keys remain in use',
        'Policy warn medium KeysLeftOut AuthorizationPolicy foo/p: spec.jwtRules[2]: RSA 512; tokens that only these keys verify are rejected',
      ],
    ],
    [
      'report changed bundles',
      {},
      { tampered: ['foo/deployment/web: deleted'] },
      ['Policy warn medium BundleTampered AuthorizationPolicy foo/p: foo/deployment/web: deleted'],
    ],
    [
      'report each workload that is not protected',
      {},
      {
        refused: [SHORT],
        withoutAgent: ['foo/statefulset/a'],
        notEnabled: [{ namespace: 'bar', workloads: ['bar/cronjob/b'] }],
        notInjectable: ['foo/daemonset/c'],
        altered: [SHORT],
        bypassed: [{ ...SHORT, workload: 'foo/rollout/d' }],
      },
      [
        'Workload error high BundleRefused Deployment foo/web: why',
        'Workload fail high NoAgent StatefulSet foo/a: A pod has no agent: the policy is not enforced',
        'Workload fail high InjectionDisabled CronJob bar/b: Injection is not enabled in namespace bar: the policy is not enforced',
        'Workload fail high NotInjectable DaemonSet foo/c: A pod cannot have an agent: the policy is not enforced',
        'Workload fail high AgentAltered Deployment foo/web: why',
        'Workload fail high AgentBypassed rollout foo/d: The agent can be bypassed: why',
      ],
    ],
  ];
  for (const [name, entry, facts, results] of rows) {
    it(name, () => expect(shown(entry, facts)).to.deep.equal(results));
  }

  it('name the policy, and the object with its version and UID', () => {
    const [policy, workload] = policyResults({ ...ENTRY, findings: [finding('warning')] }, { ...NO_FACTS, refused: [SHORT] });

    expect(policy?.policy).to.equal('AuthorizationPolicy/p');
    expect(policy?.resources).to.deep.equal([
      { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', namespace: 'foo', name: 'p', uid: 'u1' },
    ]);
    expect(workload?.resources).to.deep.equal([{ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'foo', name: 'web' }]);
  });

  it('cut long messages', () => {
    const [result] = policyResults(ENTRY, { ...NO_FACTS, refused: [{ ...SHORT, message: 'x'.repeat(5000) }] });
    expect(result?.message).to.have.length(1024).and.match(/x…$/);
  });
});
