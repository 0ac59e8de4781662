import { expect } from 'chai';
import type { AuthorizationPolicy, Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { Finding } from '../../../src/errors.ts';
import { findPeerIdentityFields } from '../../../src/lint/peer-identity.ts';
import type { PolicyEntry } from '../../../src/state/cluster-state.ts';
import { conditionsOf, type PolicyCondition, type PolicyFacts } from '../../../src/status/conditions.ts';
import { NO_FACTS as FACTS } from '../../../src/status/policy-facts.ts';

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
const ERROR: Finding = { code: 'SP_VALUE', severity: 'error', path: 'spec.rules[0]', message: 'bad' };
const WARNING: Finding = { code: 'SP_VALUE', severity: 'warning', path: 'spec', message: 'odd', hint: 'fix it' };
const PEER: Finding = { code: 'SP_NEEDS_PEER_IDENTITY', severity: 'warning', path: 'spec.x', message: 'needs a peer' };

describe('conditions of a policy', () => {
  const accepted: readonly {
    readonly name: string;
    readonly entry?: Partial<PolicyEntry>;
    readonly facts?: Partial<PolicyFacts>;
    readonly is: string;
    readonly message: string;
  }[] = [
    { name: 'is accepted without findings', is: 'True Accepted', message: 'The policy is valid' },
    {
      name: 'is accepted with its warnings',
      entry: { findings: [WARNING] },
      is: 'True AcceptedWithWarnings',
      message: 'spec: odd (fix it)',
    },
    {
      name: 'repeats no warning',
      entry: { findings: [WARNING] },
      facts: { findings: [WARNING] },
      is: 'True AcceptedWithWarnings',
      message: 'spec: odd (fix it)',
    },
    {
      name: 'reports that a peer identity is needed',
      facts: { findings: [WARNING, PEER] },
      is: 'True NeedsPeerIdentity',
      message: 'spec: odd (fix it); spec.x: needs a peer',
    },
    {
      name: 'is rejected with the generation that remains active',
      entry: { generation: 4, isValid: false, findings: [WARNING, ERROR] },
      is: 'False Invalid',
      message: 'spec.rules[0]: bad. Generation 3 remains active',
    },
    {
      name: 'is rejected with a readable part that is active',
      entry: { active: { ...POLICY }, isValid: false, findings: [ERROR] },
      is: 'False Invalid',
      message: 'spec.rules[0]: bad. The readable part of it is active; values that cannot be honoured can only deny more requests',
    },
  ];
  for (const { name, entry, facts, is, message } of accepted) {
    it(name, () => {
      const [condition] = conditionsOf({ ...ENTRY, ...entry }, { ...FACTS, ...facts });
      expect(`${condition?.status} ${condition?.reason}`).to.equal(is);
      expect(condition?.message).to.equal(message);
      expect(condition?.observedGeneration).to.equal(entry?.generation ?? 3);
    });
  }

  const stale = { kind: 'stale', rule: 1, reason: 'idp is down' } as const;
  const unavailable = { kind: 'unavailable', rule: 0, reason: 'idp is down' } as const;
  const ready: readonly {
    readonly name: string;
    readonly entry?: Partial<PolicyEntry>;
    readonly facts: Partial<PolicyFacts>;
    readonly is: string;
    readonly message: string;
  }[] = [
    {
      name: 'ready when published everywhere',
      facts: { published: ['foo/a', 'foo/b'] },
      is: 'True Published',
      message: 'Published to 2 of 2 selected workloads with an agent',
    },
    {
      name: 'ready when other workloads have no agent',
      facts: { published: ['foo/a'], withoutAgent: ['foo/b'], notInjectable: ['foo/c'] },
      is: 'True Published',
      message: 'Published to 1 of 1 selected workloads with an agent',
    },
    {
      name: 'not ready when no selected workload has an agent',
      facts: { withoutAgent: ['foo/b'] },
      is: 'False NoAgent',
      message: 'No selected workload has an agent: foo/b',
    },
    {
      name: 'not ready when the only selected agent is altered',
      facts: { altered: [{ workload: 'foo/b', message: 'container sallyport-agent: command is set' }] },
      is: 'False NoAgent',
      message: 'No selected workload has an agent: foo/b',
    },
    {
      name: 'not ready when the only selected agent captures no port',
      facts: { published: ['foo/b'], bypassed: [{ workload: 'foo/b', message: 'excluded ports 8080' }], uncaptured: ['foo/b'] },
      is: 'False NoAgent',
      message: 'No selected workload has an agent: foo/b',
    },
    {
      name: 'not ready when its provider is unknown',
      facts: { published: ['foo/a'], provider: { reason: 'ProviderUnknown', message: 'unknown extension provider x' } },
      is: 'False ProviderUnknown',
      message: 'unknown extension provider x. Published to 1 of 1 selected workloads with an agent',
    },
    { name: 'ready when it selects nothing', facts: {}, is: 'True SelectsNothing', message: 'Selects no workload' },
    {
      name: 'ready when it targets no gateway',
      entry: { active: { ...POLICY, spec: { action: 'ALLOW', targetRefs: [{ kind: 'Gateway', name: 'g' }] } } },
      facts: {},
      is: 'True SelectsNothing',
      message: 'Targets no gateway that has pods; targetRefs select no other workloads',
    },
    {
      name: 'not ready while publishing',
      facts: { published: ['foo/a'], waiting: ['foo/b'] },
      is: 'False Publishing',
      message: 'Published to 1 of 2 selected workloads with an agent. Not yet published to: foo/b',
    },
    {
      name: 'not ready when a bundle is refused',
      facts: { refused: [{ workload: 'foo/a', message: 'too large' }] },
      is: 'False BundleRefused',
      message: 'Published to 0 of 1 selected workloads with an agent. foo/a: too large',
    },
    {
      name: 'not ready without keys',
      facts: { published: ['foo/a'], keys: [stale, unavailable] },
      is: 'False KeysUnavailable',
      message:
        'Published to 1 of 1 selected workloads with an agent. jwtRules[0]: idp is down; there are no keys, so every token for this rule is rejected',
    },
    {
      name: 'not ready while its secrets are not published to other namespaces',
      facts: { published: ['foo/a'], withheld: { reason: 'KeysWithheld', message: 'symmetric keys' } },
      is: 'False KeysWithheld',
      message: 'Published to 1 of 1 selected workloads with an agent. symmetric keys',
    },
    {
      name: 'ready with the last good keys',
      facts: { published: ['foo/a'], keys: [stale] },
      is: 'True KeysStale',
      message: 'Published to 1 of 1 selected workloads with an agent. jwtRules[1]: idp is down; the last good keys remain in use',
    },
    {
      name: 'ready although keys of a set are not used',
      facts: { published: ['foo/a'], keys: [{ kind: 'left-out', rule: 0, reason: 'keys of the fetched set are not used: keys[1]: odd' }] },
      is: 'True KeysLeftOut',
      message:
        'Published to 1 of 1 selected workloads with an agent. jwtRules[0]: keys of the fetched set are not used: keys[1]: odd; tokens that only these keys verify are rejected',
    },
    {
      name: 'not ready when the newest version is rejected',
      entry: { isValid: false, generation: 4 },
      facts: { published: ['foo/a'] },
      is: 'False NotAccepted',
      message: 'Generation 3 remains active. Published to 1 of 1 selected workloads with an agent',
    },
  ];
  for (const { name, entry, facts, is, message } of ready) {
    it(`is ${name}`, () => {
      const [, condition] = conditionsOf({ ...ENTRY, ...entry }, { ...FACTS, ...facts });
      expect(`${condition?.status} ${condition?.reason}`).to.equal(is);
      expect(condition?.message).to.equal(message);
    });
  }

  const tenants: readonly (readonly [what: string, facts: Partial<PolicyFacts>])[] = [
    ['a pod without an agent', { withoutAgent: ['bar/x'] }],
    ['only a pod without an agent', { published: [], withoutAgent: ['bar/x'] }],
    ['a pod on the host network', { notInjectable: ['bar/x'] }],
    ['a pod in a namespace without injection', { notEnabled: [{ namespace: 'bar', workloads: ['bar/x'] }] }],
    ['a new pod with an agent', { waiting: ['bar/x'], starting: ['bar/x'] }],
    ['a pod whose bundle is refused', { refused: [{ workload: 'bar/x', message: 'exceeded quota' }] }],
    ['several of these', { waiting: ['bar/x'], starting: ['bar/x'], withoutAgent: ['baz/y'], refused: [{ workload: 'b/z', message: '' }] }],
  ];
  const readyOf = (facts: Partial<PolicyFacts>): PolicyCondition | undefined =>
    conditionsOf(ENTRY, { ...FACTS, ...facts }).find(({ type }) => type === 'Ready');
  for (const [what, facts] of tenants) {
    it(`keeps Ready of a policy of the root namespace when a namespace has ${what}`, () => {
      const before = { published: ['foo/a'], isMeshWide: true };
      expect(readyOf({ ...before, ...facts })).to.deep.equal(readyOf(before));
    });
  }

  it('is not ready in the root namespace while a workload that has a bundle still has an older one', () => {
    const condition = readyOf({ isMeshWide: true, published: ['foo/a'], waiting: ['foo/b', 'foo/new'], starting: ['foo/new'] });
    expect(condition).to.include({ status: 'False', reason: 'Publishing', message: 'Not yet published to: foo/b' });
  });

  it('says that no version is active when none is readable', () => {
    const { active: _active, ...unread } = ENTRY;
    const [condition] = conditionsOf({ ...unread, isValid: false, findings: [ERROR] }, FACTS);
    expect(condition?.message).to.contain('No version of this policy is active');
  });

  it('adds a condition Tampered with what agents do about it, for three changes at most', () => {
    const messageOf = (...tampered: readonly string[]): string | undefined =>
      conditionsOf(ENTRY, { ...FACTS, tampered }).find(({ type }) => type === 'Tampered')?.message;

    expect(messageOf()).to.equal(undefined);
    expect(messageOf('a', 'b', 'c')).to.equal('a; b; c. Agents ignore such changes and keep the last bundle that the controller signed');
    expect(messageOf('a', 'b', 'c', 'd', 'e')).to.match(/^a; b; c; and 2 more\. /);
    expect(conditionsOf(ENTRY, { ...FACTS, tampered: ['a'] }).at(-1)).to.include({ status: 'True', reason: 'BundleTampered' });
  });

  it('begins a finding with its path, if it has one, and ends it with its hint, if it has one', () => {
    const { hint: _hint, ...withoutHint } = WARNING;
    expect(
      conditionsOf(ENTRY, {
        ...FACTS,
        findings: [
          { ...withoutHint, path: '' },
          { ...WARNING, message: 'odder' },
        ],
      })[0]?.message,
    ).to.equal('odd; spec: odder (fix it)');
  });

  it('names the keys of three rules at most', () => {
    const keys = Array.from({ length: 5 }, (_, rule) => ({ kind: 'stale', rule, reason: 'down' }) as const);
    expect(readyOf({ published: ['foo/a'], keys })?.message.match(/jwtRules\[\d\]/g)).to.deep.equal([
      'jwtRules[0]',
      'jwtRules[1]',
      'jwtRules[2]',
    ]);
  });

  it('counts no workloads in Ready of a policy of the root namespace', () => {
    expect(readyOf({ isMeshWide: true, published: ['foo/a'] })?.message).to.equal('Published; the condition Enforced counts workloads');
    expect(readyOf({ isMeshWide: true, waiting: ['foo/a'] })).to.include({
      reason: 'Publishing',
      message: 'Not yet published to: foo/a',
    });
  });

  it('is not ready over its budget, whether the policy or its bundles are', () => {
    const overBudget: Finding = { code: 'SP_OVER_BUDGET', severity: 'warning', path: '', message: 'too large', hint: 'make it smaller' };

    expect(readyOf({ published: ['foo/a'], findings: [overBudget] })).to.include({
      status: 'False',
      reason: 'OverBudget',
      message: 'Too large (make it smaller). Published to 1 of 1 selected workloads with an agent',
    });
    expect(conditionsOf(ENTRY, { ...FACTS, findings: [overBudget] })[0]).to.include({ reason: 'Accepted' });
  });

  it('is not ready while nothing can be signed', () => {
    expect(readyOf({ published: ['foo/a'], signing: 'the Secret is gone' })).to.include({
      status: 'False',
      reason: 'SigningKeysMissing',
      message: 'the Secret is gone. Published to 1 of 1 selected workloads with an agent',
    });
  });

  it('limits the length of messages', () => {
    const long = { ...ERROR, message: 'x'.repeat(5_000) };
    for (const { message } of conditionsOf({ ...ENTRY, isValid: false, findings: [long] }, FACTS))
      expect(message.length).to.be.at.most(1_024);
  });

  it('keeps a message of the limit, and ends a longer one with an ellipsis', () => {
    const messageOf = (length: number): string => {
      const [condition] = conditionsOf({ ...ENTRY, isValid: false, findings: [{ ...ERROR, message: 'x'.repeat(length) }] }, FACTS);
      return condition?.message ?? '';
    };
    const around = messageOf(1).length - 1;

    expect(messageOf(1_024 - around))
      .to.have.length(1_024)
      .and.not.contain('…');
    expect(messageOf(1_025 - around))
      .to.have.length(1_024)
      .and.match(/…$/);
  });
});

describe('fields that need a peer identity', () => {
  it('are found in sources and conditions, each with its place', () => {
    const policy: AuthorizationPolicy = {
      ...POLICY,
      spec: {
        action: 'ALLOW',
        rules: [
          {
            from: [{ source: { requestPrincipals: ['*'], ipBlocks: ['10.0.0.0/8'] } }],
            when: [{ key: 'request.auth.claims[a]', values: ['b'] }],
          },
          {
            from: [{ source: { principals: ['a'], notNamespaces: ['b'] } }, { source: { serviceAccounts: ['c/d'] } }],
            when: [{ key: 'source.namespace', values: ['x'] }],
          },
        ],
      },
    };
    const found = findPeerIdentityFields(policy, DEFAULT_MESH_CONFIG);
    expect(found.map(({ path }) => path)).to.deep.equal([
      'spec.rules[1].from[0].source.principals',
      'spec.rules[1].from[0].source.notNamespaces',
      'spec.rules[1].from[1].source.serviceAccounts',
      'spec.rules[1].when[0].key',
    ]);
    expect(new Set(found.map(({ code, severity }) => `${code} ${severity}`))).to.deep.equal(new Set(['SP_NEEDS_PEER_IDENTITY warning']));
    expect(found[0]?.hint).to.include('mesh.trustedProxies');
    expect(findPeerIdentityFields(policy, { ...DEFAULT_MESH_CONFIG, trustedProxies: ['10.0.0.1'] })).to.deep.equal([]);
    expect(findPeerIdentityFields(policy, { ...DEFAULT_MESH_CONFIG, peerIdentity: { podIP: true } })).to.deep.equal([]);
  });
});
