import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import type { PolicyEntry } from '../../../src/state/cluster-state.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { enforcedOf } from '../../../src/status/enforced-condition.ts';
import { NO_FACTS } from '../../../src/status/policy-facts.ts';

const POLICY: Policy = { kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', generation: 3 }, spec: { action: 'ALLOW' } };
const ENTRY: PolicyEntry = {
  key: 'AuthorizationPolicy/foo/p',
  kind: 'AuthorizationPolicy',
  namespace: 'foo',
  name: 'p',
  generation: 3,
  active: POLICY,
  lastGood: POLICY,
  findings: [],
  isValid: true,
  isCandidateValid: true,
};

const CASES: readonly (readonly [name: string, facts: Partial<PolicyFacts>, is: string, message: string])[] = [
  ['selects nothing', {}, 'True SelectsNothing', 'Selects no workload'],
  ['is enforced everywhere', { published: ['foo/a', 'foo/b'] }, 'True Enforced', 'Enforced on 2 of 2 selected workloads'],
  [
    'selects a workload without an agent',
    { published: ['foo/a'], withoutAgent: ['foo/b'] },
    'False PartlyEnforced',
    'Enforced on 1 of 2 selected workloads. Without an agent: 1 (foo/b)',
  ],
  [
    'selects only workloads without an agent',
    { withoutAgent: ['foo/b', 'foo/c', 'foo/d', 'foo/e'] },
    'False NotEnforced',
    'Enforced on 0 of 4 selected workloads. Without an agent: 4 (foo/b, foo/c, foo/d, and 1 more)',
  ],
  [
    'selects a workload that cannot have an agent',
    { published: ['foo/a'], notInjectable: ['foo/b'] },
    'False PartlyEnforced',
    'Enforced on 1 of 2 selected workloads. Cannot have an agent: 1 (foo/b)',
  ],
  [
    'selects workloads in namespaces without injection',
    {
      published: ['foo/a'],
      notEnabled: [
        { namespace: 'bar', workloads: ['bar/b', 'bar/c'] },
        { namespace: 'baz', workloads: ['baz/d'] },
      ],
    },
    'False PartlyEnforced',
    'Enforced on 1 of 4 selected workloads. In namespaces without injection: 3 (2 namespaces: bar, baz)',
  ],
  [
    'selects a workload that has pods with and without an agent',
    { published: ['foo/a'], withoutAgent: ['foo/a'] },
    'False PartlyEnforced',
    'Enforced on 0 of 1 selected workloads. Without an agent: 1 (foo/a)',
  ],
  [
    'selects a workload whose agent is altered',
    { published: ['foo/a'], altered: [{ workload: 'foo/b', message: 'container sallyport-agent: command is set' }] },
    'False PartlyEnforced',
    'Enforced on 1 of 2 selected workloads. Agent altered: 1 (foo/b: container sallyport-agent: command is set)',
  ],
  [
    'selects only a workload whose ports bypass the agent',
    { published: ['foo/a'], bypassed: [{ workload: 'foo/a', message: 'excluded ports 8080' }], uncaptured: ['foo/a'] },
    'False PartlyEnforced',
    'Enforced on 0 of 1 selected workloads. Agent can be bypassed: 1 (foo/a: excluded ports 8080)',
  ],
  [
    'waits for bundles, one of which is refused',
    { published: ['foo/a'], waiting: ['foo/b'], refused: [{ workload: 'foo/c', message: 'exceeded quota' }] },
    'False PartlyEnforced',
    'Enforced on 1 of 3 selected workloads. Bundle refused: 1 (foo/c: exceeded quota). Not yet published: 1 (foo/b)',
  ],
  ['is a dry run', { published: ['foo/a'], isDryRun: true }, 'False DryRun', 'The policy is evaluated and logged, but never decides'],
];

describe('the condition Enforced', () => {
  for (const [name, facts, is, message] of CASES) {
    it(`counts and names workloads when the policy ${name}`, () => {
      const { type, status, reason, message: text } = enforcedOf(ENTRY, { ...NO_FACTS, ...facts });
      expect([type, `${status} ${reason}`, text]).to.deep.equal(['Enforced', is, message]);
    });
  }

  it('is False when no version of the policy is active', () => {
    const { active: _active, ...unread } = ENTRY;
    expect(enforcedOf(unread, NO_FACTS)).to.include({ status: 'False', reason: 'NotEnforced' });
  });
});
