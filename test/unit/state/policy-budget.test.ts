/* Cluster state whose policies have a budget: which version of each is enforced. */
import { expect } from 'chai';
import fc from 'fast-check';
import { policyKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { PolicyBudgets, PolicySize } from '../../../src/resolve/policy-load.ts';
import { type ClusterState, createClusterState, type PolicyEntry } from '../../../src/state/cluster-state.ts';

const AP = 'AuthorizationPolicy';

function size(bytes: number): PolicySize {
  return { bytes, packedBytes: 0, rules: 0, values: 0 };
}

/** A policy takes as many bytes as it has paths. */
function budgetsOf(measured: string[] = []): PolicyBudgets {
  return {
    sizeOf: (policy) => {
      measured.push(policy.metadata.name);
      if (policy.kind === 'RequestAuthentication')
        return size((policy.spec.jwtRules ?? []).reduce((sum, { jwks = '', issuer = '' }) => sum + jwks.length + issuer.length, 0));
      return size((policy.spec.rules ?? []).flatMap(({ to = [] }) => to.flatMap(({ operation }) => operation?.paths ?? [])).length);
    },
    limit: size(100),
    shareOf: (namespace) => (namespace === 'istio-system' ? size(200) : size(150)),
    replacements: size(40),
  };
}

interface Over {
  readonly action?: string;
  readonly namespace?: string;
  readonly created?: string;
  readonly generation?: number;
  readonly uid?: string;
  readonly provider?: { readonly name: string };
  readonly invalid?: true;
  readonly app?: string;
}

function policy(name: string, paths: number, over: Over = {}): object {
  const {
    action = 'DENY',
    namespace = 'foo',
    created = '2026-01-01T00:00:00Z',
    generation = 1,
    uid = `u-${name}`,
    invalid,
    app,
    provider,
  } = over;
  const values = Array.from({ length: paths }, (_, at) => `/${at}`);
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { name, namespace, uid, generation, creationTimestamp: created },
    spec: {
      action,
      ...(app === undefined ? {} : { selector: { matchLabels: { app } } }),
      ...(provider === undefined ? {} : { provider }),
      rules: [{ to: [{ operation: { paths: values } }], ...(invalid === undefined ? {} : { when: [{ key: 'nonsense', values: ['x'] }] }) }],
    },
  };
}

function stateOf(measured?: string[]): ClusterState {
  return createClusterState(() => DEFAULT_MESH_CONFIG, { budgets: budgetsOf(measured) });
}

describe('budget of policies', () => {
  let clusterState: ClusterState;
  beforeEach(() => {
    clusterState = stateOf();
  });
  const entry = (name: string, namespace = 'foo', kind = AP): PolicyEntry => {
    const found = clusterState.policies.get(policyKey(kind, namespace, name));
    if (found === undefined) throw new Error(`no policy ${name}`);
    return found;
  };
  const generationOf = (name: string): number | undefined => entry(name).active?.metadata.generation;

  it('enforces every policy while all of the namespace fit', () => {
    clusterState.replacePolicies(AP, [policy('a', 100), policy('b', 50), policy('c', 100, { namespace: 'bar' })]);

    for (const each of clusterState.policies.values()) expect([each.active, each.refusal]).to.deep.equal([each.lastGood, undefined]);
  });

  it('keeps the oldest, whatever the order in which they are read', () => {
    const all = [
      policy('a', 80, { created: '2026-01-03T00:00:00Z' }),
      policy('b', 80, { created: '2026-01-02T00:00:00Z' }),
      policy('c', 60, { created: '2026-01-01T00:00:00Z' }),
    ];
    const refusedIn = (state: ClusterState): readonly string[] =>
      [...state.policies.values()].filter(({ refusal }) => refusal !== undefined).map(({ name }) => name);
    clusterState.replacePolicies(AP, all);
    const other = stateOf();
    for (const each of all.toReversed()) other.upsertPolicy(each);

    expect([refusedIn(clusterState), refusedIn(other)]).to.deep.equal([['a'], ['a']]);
    expect(entry('a').refusal).to.include({ code: 'SP_OVER_BUDGET', severity: 'error' });
    expect(entry('a').refusal?.message).to.equal(
      'with older policies, namespace foo takes more than 150 bytes of a bundle; every request to the pods that it selects is denied',
    );
  });

  it('keeps the last version within the budget, and takes the newest when it fits again', () => {
    clusterState.upsertPolicy(policy('a', 10));
    clusterState.upsertPolicy(policy('a', 101, { generation: 2 }));
    expect([generationOf('a'), entry('a').active]).to.deep.equal([1, entry('a').lastGood]);
    expect(entry('a').refusal?.message).to.contain('generation 1 stays active');

    clusterState.upsertPolicy(policy('a', 100, { generation: 3 }));
    expect([generationOf('a'), entry('a').refusal]).to.deep.equal([3, undefined]);
  });

  it('keeps it also when the newest version is invalid after one that was over the budget', () => {
    clusterState.upsertPolicy(policy('a', 10));
    clusterState.upsertPolicy(policy('a', 101, { generation: 2 }));
    clusterState.upsertPolicy(policy('a', 10, { generation: 3, invalid: true }));

    expect([entry('a').isValid, entry('a').active, entry('a').refusal, generationOf('a')]).to.deep.equal([
      false,
      entry('a').lastGood,
      undefined,
      1,
    ]);
  });

  it('keeps no version of a policy that was deleted and created again', () => {
    clusterState.upsertPolicy(policy('a', 10));
    clusterState.upsertPolicy(policy('a', 101, { generation: 1, uid: 'other' }));

    expect(entry('a').active?.spec).to.deep.equal({ action: 'DENY', rules: [{}] });
  });

  it('enforces what denies at least as much in place of each action', () => {
    clusterState.upsertPolicy(policy('allow', 101, { action: 'ALLOW', app: 'x' }));
    clusterState.upsertPolicy(policy('deny', 101, { app: 'x' }));
    clusterState.upsertPolicy(policy('custom', 101, { action: 'CUSTOM', provider: { name: 'ext' }, app: 'x' }));
    clusterState.upsertPolicy(policy('audit', 101, { action: 'AUDIT', app: 'x' }));

    const selector = { matchLabels: { app: 'x' } };
    const specs = ['allow', 'deny', 'custom', 'audit'].map((name) => entry(name).active?.spec);
    expect(specs).to.deep.equal([
      { selector, action: 'ALLOW' },
      { selector, action: 'DENY', rules: [{}] },
      { selector, action: 'DENY', rules: [{}] },
      undefined,
    ]);
    expect(entry('audit').refusal?.message).to.contain('it is not evaluated');
  });

  it('refuses the tokens of a RequestAuthentication, and every request once there are too many of them', () => {
    const authentication = (name: string, issuer: string): object => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name, namespace: 'foo', uid: name, generation: 1 },
      spec: { jwtRules: [{ issuer, jwksUri: 'https://a/keys', fromHeaders: [{ name: 'x-token' }], audiences: ['a'.repeat(9)] }] },
    });
    const budgets = budgetsOf();
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG, {
      budgets: {
        ...budgets,
        sizeOf: (one) =>
          one.kind === 'RequestAuthentication' && one.spec.jwtRules?.[0]?.jwks === undefined ? size(101) : budgets.sizeOf(one),
      },
    });
    clusterState.upsertPolicy(authentication('a', 'i'));
    clusterState.upsertPolicy(authentication('b', 'j'.repeat(30)));

    expect(entry('a', 'foo', 'RequestAuthentication').active?.spec).to.deep.equal({
      jwtRules: [{ issuer: 'i', fromHeaders: [{ name: 'x-token' }], audiences: ['a'.repeat(9)], jwks: '{"keys":[]}' }],
    });
    expect(entry('b', 'foo', 'RequestAuthentication').active).to.deep.include({ kind: AP, spec: { action: 'DENY', rules: [{}] } });
  });

  it('does not let a namespace take from the root namespace or from another', () => {
    clusterState.replacePolicies(AP, [policy('root', 100, { namespace: 'istio-system' }), policy('other', 100, { namespace: 'bar' })]);
    for (const name of ['a', 'b', 'c', 'd']) clusterState.upsertPolicy(policy(name, 100));

    expect([entry('root', 'istio-system').refusal, entry('other', 'bar').refusal]).to.deep.equal([undefined, undefined]);
    expect(['a', 'b', 'c', 'd'].filter((name) => entry(name).refusal === undefined)).to.deep.equal(['a']);
  });

  it('admits a policy again when an older one goes or shrinks', () => {
    clusterState.replacePolicies(AP, [policy('a', 100), policy('b', 100), policy('c', 60)]);
    expect(entry('b').refusal).not.to.equal(undefined);
    clusterState.removePolicy(policyKey(AP, 'foo', 'a'));
    expect([entry('b').refusal, entry('c').refusal === undefined]).to.deep.equal([undefined, false]);
    clusterState.upsertPolicy(policy('b', 90, { generation: 2 }));
    expect(entry('c').refusal).to.equal(undefined);
  });

  it('reports no change of a policy whose replacement stays the same', () => {
    clusterState.replacePolicies(AP, [policy('a', 100), policy('b', 100)]);
    const changed: string[] = [];
    clusterState.subscribe((change) => change.kind === 'policy' && changed.push(`${change.after?.metadata.name}`));
    clusterState.upsertPolicy(policy('c', 10));
    clusterState.upsertPolicy({ ...policy('b', 100), status: { conditions: [] } });

    expect(changed).to.deep.equal(['c']);
  });

  it('changes no status of refused policies when an older one changes and they stay refused', () => {
    clusterState.replacePolicies(AP, [policy('a', 90), policy('b', 100), policy('c', 100)]);
    const changed: string[] = [];
    clusterState.policies.subscribe(({ after }) => changed.push(`${after?.name}`));
    clusterState.upsertPolicy(policy('a', 95, { generation: 2 }));

    expect(changed.filter((name) => name !== 'a')).to.deep.equal([]);
  });

  it('measures only the policy that changed while the namespace is within its budget', () => {
    const measured: string[] = [];
    clusterState = stateOf(measured);
    clusterState.replacePolicies(
      AP,
      ['a', 'b', 'c'].map((name) => policy(name, 10)),
    );
    measured.length = 0;
    clusterState.upsertPolicy(policy('b', 20, { generation: 2 }));
    clusterState.upsertPolicy({ ...policy('b', 20, { generation: 2 }), status: {} });

    expect(measured).to.deep.equal(['b']);
  });

  it('decides again when what a policy takes changes', () => {
    let factor = 1;
    const budgets = budgetsOf();
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG, {
      budgets: { ...budgets, sizeOf: (one) => size(budgets.sizeOf(one).bytes * factor) },
    });
    clusterState.replacePolicies(AP, [policy('a', 60), policy('b', 60)]);
    factor = 1.5;
    clusterState.decideVersions();
    expect(entry('b').refusal).not.to.equal(undefined);
    factor = 1;
    clusterState.decideVersions();
    expect(entry('b').refusal).to.equal(undefined);
  });

  it('decides the same after any changes as from the start', () => {
    const change = fc.record({
      name: fc.integer({ min: 0, max: 7 }),
      paths: fc.integer({ min: 0, max: 110 }),
      app: fc.constantFrom('a', 'b', undefined),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const state = stateOf();
        const last = new Map<string, object>();
        for (const { name, paths, app } of changes) {
          const key = policyKey(AP, 'foo', `p${name}`);
          // Another policy of the same name, so that no version before is kept.
          state.removePolicy(key);
          last.delete(key);
          if (paths > 100) continue;
          const made = policy(`p${name}`, paths, {
            created: `2026-01-0${1 + (name % 3)}T00:00:00Z`,
            ...(app === undefined ? {} : { app }),
          });
          last.set(key, made);
          state.upsertPolicy(made);
        }
        const fresh = stateOf();
        fresh.replacePolicies(AP, last.values());
        const decided = (one: ClusterState): readonly unknown[] =>
          [...one.policies.values()]
            .sort((one, other) => (one.key < other.key ? -1 : 1))
            .map(({ key, active, refusal }) => [key, active, refusal]);
        expect(decided(state)).to.deep.equal(decided(fresh));
      }),
    );
  });

  it('says why a new version would be over the budget, unless it takes no more than before', () => {
    clusterState.replacePolicies(
      AP,
      [100, 90].map((paths, at) => policy(`p${at}`, paths, { namespace: 'istio-system' })),
    );
    const parsed = (paths: number, name = 'new'): NonNullable<PolicyEntry['active']> => {
      const other = createClusterState(() => DEFAULT_MESH_CONFIG);
      other.upsertPolicy(policy(name, paths, { namespace: 'istio-system' }));
      return [...other.policies.values()][0]?.active as NonNullable<PolicyEntry['active']>;
    };

    expect(clusterState.whyOverBudget(parsed(10))).to.equal(undefined);
    expect(clusterState.whyOverBudget(parsed(101))).to.equal('the policy takes more than 100 bytes of a bundle');
    expect(clusterState.whyOverBudget(parsed(11))).to.equal(
      'with the other policies, namespace istio-system takes more than 200 bytes of a bundle',
    );
    expect(clusterState.whyOverBudget(parsed(100, 'p1'))).to.equal(undefined);
    clusterState.upsertPolicy(policy('p2', 50, { namespace: 'istio-system' }));
    expect(clusterState.whyOverBudget(parsed(90, 'p1'))).to.equal(undefined);
  });
});
