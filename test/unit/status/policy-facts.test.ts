import { expect } from 'chai';
import { parseWorkloadKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import type { KeyState } from '../../../src/jwks/jwks-cache.ts';
import { type ClusterState, createClusterState, type PolicyEntry } from '../../../src/state/cluster-state.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { NO_FACTS, policyFacts } from '../../../src/status/policy-facts.ts';
import { createWorkloadLedger, type DesiredBundle, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { slimPod } from '../../support/guarded-pods.ts';

const KEY = 'RequestAuthentication/foo/p';

function pod(name: string, over: { readonly namespace?: string; readonly agent?: boolean; readonly app?: string } = {}): SlimPod {
  const { namespace = 'foo', agent = true, app = 'a' } = over;
  return slimPod({ metadata: { namespace, name, labels: { app } }, status: { phase: 'Running' } }, agent);
}

function policy(over: { readonly namespace?: string; readonly generation?: number; readonly jwtRules?: readonly object[] } = {}): object {
  const { namespace = 'foo', generation = 2, jwtRules = [] } = over;
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { namespace, name: 'p', generation, uid: 'p' },
    spec: { selector: { matchLabels: { app: 'a' } }, jwtRules },
  };
}

describe('facts about a policy', () => {
  let clusterState: ClusterState;
  let ledger: WorkloadLedger;
  let keyStates: readonly KeyState[];
  let mesh: MeshConfig;
  beforeEach(() => {
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    ledger = createWorkloadLedger();
    keyStates = [];
    mesh = DEFAULT_MESH_CONFIG;
  });

  const facts = (key = KEY): PolicyFacts | undefined => {
    const entry = clusterState.policies.get(key);
    if (entry === undefined) throw new Error('no such policy');
    const stateOf = (rule: { readonly issuer?: string }): KeyState => keyStates[Number(rule.issuer)] ?? { kind: 'inline' };
    return policyFacts(entry, { clusterState, ledger, mesh: () => mesh, jwksCache: { stateOf } });
  };
  const compiled = (workload: string, generation: number, over: Partial<DesiredBundle> = {}): void =>
    ledger.desire(workload, { revision: `r${generation}`, policies: new Map([[KEY, generation]]), findings: new Map(), ...over });
  const published = (workload: string, generation: number): void =>
    ledger.setPublished(workload, {
      workload: parseWorkloadKey(workload),
      revision: `r${generation}`,
      policies: new Map([[KEY, generation]]),
    });

  it('are empty for a policy of which no version is active', () => {
    clusterState.upsertPolicy({ ...policy(), spec: 'nonsense' });
    expect(facts()).to.deep.equal(NO_FACTS);
  });

  it('sort selected workloads into published, waiting, refused and without an agent', () => {
    for (const name of ['done', 'old', 'new', 'large']) clusterState.pods.upsert(pod(name));
    clusterState.namespaces.upsert({ name: 'foo', labels: { 'sallyport.dev/injection': 'enabled' }, terminating: false });
    clusterState.pods.upsert(pod('bare', { agent: false }));
    clusterState.pods.upsert(pod('other', { app: 'b' }));
    clusterState.pods.upsert(pod('elsewhere', { namespace: 'bar' }));
    clusterState.upsertPolicy(policy());
    for (const [name, generation] of [
      ['done', 2],
      ['old', 1],
      ['large', 1],
    ] as const) {
      compiled(`foo/pod/${name}`, generation);
      published(`foo/pod/${name}`, generation);
    }
    compiled('foo/pod/old', 2);
    ledger.refuse('foo/pod/large', { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: 'too large' });

    expect(facts()).to.deep.include({
      published: ['foo/pod/done'],
      waiting: ['foo/pod/new', 'foo/pod/old'],
      refused: [{ workload: 'foo/pod/large', message: 'too large' }],
      withoutAgent: ['foo/pod/bare'],
    });
  });

  it('keep workloads apart that lack an agent, that cannot have one, and whose namespace is not enabled', () => {
    clusterState.namespaces.upsert({ name: 'foo', labels: { 'sallyport.dev/injection': 'enabled' }, terminating: false });
    clusterState.namespaces.upsert({ name: 'bar', labels: { 'sallyport.dev/injection': 'disabled' }, terminating: false });
    clusterState.pods.upsert(pod('bare', { agent: false }));
    clusterState.pods.upsert({ ...pod('host', { agent: false }), obstacle: 'host-network' });
    clusterState.pods.upsert({ ...pod('windows', { agent: false }), obstacle: 'windows' });
    clusterState.pods.upsert(pod('one', { namespace: 'bar', agent: false }));
    clusterState.pods.upsert(pod('two', { namespace: 'bar', agent: false }));
    clusterState.pods.upsert(pod('three', { namespace: 'unknown', agent: false }));
    clusterState.upsertPolicy(policy({ namespace: 'istio-system' }));
    expect(facts('RequestAuthentication/istio-system/p')).to.deep.include({
      isMeshWide: true,
      withoutAgent: ['foo/pod/bare'],
      notInjectable: ['foo/pod/host', 'foo/pod/windows'],
      notEnabled: [
        { namespace: 'bar', workloads: ['bar/pod/one', 'bar/pod/two'] },
        { namespace: 'unknown', workloads: ['unknown/pod/three'] },
      ],
    });
  });

  it('name altered agents, and agents that ports or containers of their pod bypass', () => {
    clusterState.namespaces.upsert({ name: 'foo', labels: { 'sallyport.dev/injection': 'enabled' }, terminating: false });
    clusterState.pods.upsert({ ...pod('altered', { agent: false }), agentFault: 'container sallyport-agent: command is set' });
    clusterState.pods.upsert({ ...pod('open'), ports: [], agent: { ports: [], excluded: [8080], level: 2 } });
    clusterState.pods.upsert({ ...pod('partly'), ports: [80], agent: { ports: [80], excluded: [9090, 8080], level: 2 } });
    clusterState.pods.upsert({ ...pod('strong'), privileges: ['container app has NET_ADMIN'] });
    clusterState.pods.upsert(pod('fine'));
    clusterState.upsertPolicy(policy());

    expect(facts()).to.deep.include({
      withoutAgent: [],
      altered: [{ workload: 'foo/pod/altered', message: 'container sallyport-agent: command is set' }],
      bypassed: [
        { workload: 'foo/pod/open', message: 'excluded ports 8080' },
        { workload: 'foo/pod/partly', message: 'excluded ports 8080, 9090' },
        { workload: 'foo/pod/strong', message: 'container app has NET_ADMIN' },
      ],
      uncaptured: ['foo/pod/open'],
    });
  });

  it('name the workloads for which nothing has been published yet', () => {
    for (const name of ['old', 'new']) clusterState.pods.upsert(pod(name));
    clusterState.upsertPolicy(policy());
    compiled('foo/pod/old', 1);
    published('foo/pod/old', 1);
    expect(facts()).to.deep.include({ waiting: ['foo/pod/new', 'foo/pod/old'], starting: ['foo/pod/new'] });
  });

  const custom = (provider: string, over: object = {}): object => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'foo', name: 'c', generation: 1, uid: 'c' },
    spec: { action: 'CUSTOM', provider: { name: provider }, rules: [{}] },
    ...over,
  });

  it('report an unknown provider, whether or not the policy selects a workload', () => {
    clusterState.upsertPolicy(custom('nope'));
    const expected = { reason: 'ProviderUnknown', message: 'unknown extension provider nope; matching requests are denied' };
    expect(facts('AuthorizationPolicy/foo/c')?.provider).to.deep.equal(expected);
    clusterState.pods.upsert(pod('one'));
    expect(facts('AuthorizationPolicy/foo/c')?.provider).to.deep.equal(expected);
  });

  it('report ports that no selected pod serves, and nothing while the ports of a pod are not known', () => {
    const byPort = {
      metadata: { namespace: 'foo', name: 'c', generation: 1, uid: 'c' },
      spec: { action: 'DENY', rules: [{ to: [{ operation: { ports: ['80', '8080'] } }] }] },
    };
    clusterState.upsertPolicy(custom('', byPort));
    const paths = (): readonly string[] | undefined => facts('AuthorizationPolicy/foo/c')?.findings.map(({ path }) => path);
    expect(paths()).to.deep.equal([]);
    clusterState.pods.upsert({ ...pod('one'), ports: [8080] });
    expect(paths()).to.deep.equal(['spec.rules[0].to[0].operation.ports[0]']);
    clusterState.pods.upsert(pod('silent'));
    expect(paths()).to.deep.equal([]);
    clusterState.pods.upsert({ ...pod('silent'), ports: [80] });
    expect(paths()).to.deep.equal([]);
  });

  it('cover all namespaces for a policy of the root namespace', () => {
    clusterState.pods.upsert(pod('one'));
    clusterState.pods.upsert(pod('two', { namespace: 'bar' }));
    clusterState.upsertPolicy(policy({ namespace: 'istio-system' }));
    expect(facts('RequestAuthentication/istio-system/p')?.waiting).to.deep.equal(['bar/pod/two', 'foo/pod/one']);
  });

  it('are unknown until the bundle of every selected workload is verified', () => {
    for (const name of ['one', 'two']) {
      clusterState.pods.upsert(pod(name));
      published(`foo/pod/${name}`, 2);
    }
    clusterState.pods.upsert(pod('new'));
    clusterState.upsertPolicy(policy());
    compiled('foo/pod/one', 2);
    expect(facts()).to.equal(undefined);

    compiled('foo/pod/two', 3);
    expect(facts()?.published).to.deep.equal(['foo/pod/one', 'foo/pod/two']);
    expect(facts()?.waiting).to.deep.equal(['foo/pod/new']);
  });

  it('have what other clients did to the copies of selected workloads', () => {
    clusterState.pods.upsert(pod('calm'));
    clusterState.pods.upsert(pod('odd'));
    clusterState.upsertPolicy(policy());
    for (const name of ['calm', 'odd']) {
      compiled(`foo/pod/${name}`, 2);
      published(`foo/pod/${name}`, 2);
    }
    const record = ledger.get('foo/pod/odd')?.published;
    if (record !== undefined) ledger.setPublished('foo/pod/odd', { ...record, tampered: 'odd was changed' });

    expect(facts()?.tampered).to.deep.equal(['odd was changed']);
  });

  it('are known when a workload failed to compile', () => {
    clusterState.pods.upsert(pod('one'));
    published('foo/pod/one', 2);
    clusterState.upsertPolicy(policy());
    ledger.desire('foo/pod/one', { policies: new Map(), findings: new Map() });
    expect(facts()?.published).to.deep.equal(['foo/pod/one']);
  });

  it('contain the findings of the compiler but those about missing keys, which the key states report', () => {
    clusterState.pods.upsert(pod('one'));
    clusterState.upsertPolicy(policy());
    const odd = { code: 'SP_VALUE', severity: 'warning', path: 'spec', message: 'odd' } as const;
    const keys = { code: 'SP_JWKS_UNAVAILABLE', severity: 'warning', path: 'spec', message: 'no keys' } as const;
    compiled('foo/pod/one', 2, { findings: new Map([[KEY, [odd, keys]]]) });
    expect(facts()?.findings).to.deep.equal([odd]);
  });

  it('contain the rules whose keys are missing or outdated', () => {
    const url = 'https://idp/keys';
    keyStates = [
      { kind: 'fresh', url, leftOut: [] },
      { kind: 'stale', url, reason: 'idp is down' },
      { kind: 'unavailable', url, reason: 'no such host' },
      { kind: 'pending', url },
      { kind: 'inline' },
      { kind: 'fresh', url, leftOut: ['a: odd', 'b: odd', 'c: odd', 'd: odd', 'e: odd'] },
    ];
    clusterState.upsertPolicy(policy({ jwtRules: keyStates.map((_state, index) => ({ issuer: String(index), jwksUri: url })) }));
    expect(facts()?.keys).to.deep.equal([
      { kind: 'stale', rule: 1, reason: 'idp is down' },
      { kind: 'unavailable', rule: 2, reason: 'no such host' },
      { kind: 'pending', rule: 3, reason: 'the keys are being fetched' },
      { kind: 'left-out', rule: 5, reason: 'keys of the fetched set are not used: a: odd; b: odd; c: odd; and 2 more' },
    ]);
  });

  it('say that a provider with secret header values is withheld, from other namespaces and from a tenant', () => {
    const authorizer = {
      name: 'ext',
      protocol: 'http',
      service: 'authz.foo',
      port: 9000,
      timeoutMs: 1,
      failOpen: false,
      statusOnError: 403,
    } as const;
    mesh = { ...DEFAULT_MESH_CONFIG, extensionProviders: [{ ...authorizer, includeAdditionalHeadersInCheck: { 'x-key': 'secret' } }] };
    for (const namespace of ['istio-system', 'foo']) {
      clusterState.upsertPolicy(custom('ext', { metadata: { namespace, name: 'c', generation: 1, uid: 'c' } }));
      expect(facts(`AuthorizationPolicy/${namespace}/c`)?.withheld?.reason).to.equal('ProviderWithheld');
    }
    mesh = { ...mesh, publicCheckHeaders: ['X-Key'] };
    expect(facts('AuthorizationPolicy/foo/c')?.withheld).to.equal(undefined);
  });

  it('report two providers for one workload, as the compiler found them', () => {
    mesh = {
      ...DEFAULT_MESH_CONFIG,
      extensionProviders: [
        { name: 'ext', protocol: 'http', service: 'a.foo', port: 9000, timeoutMs: 1, failOpen: false, statusOnError: 403 },
      ],
    };
    clusterState.pods.upsert(pod('one'));
    clusterState.upsertPolicy(custom('ext'));
    const conflict = { code: 'SP_PROVIDER', severity: 'error', path: 'spec', message: 'two providers' } as const;
    const policyKey = 'AuthorizationPolicy/foo/c';
    compiled('foo/pod/one', 1, { policies: new Map([[policyKey, 1]]), findings: new Map([[policyKey, [conflict]]]) });

    expect(facts(policyKey)?.provider).to.deep.equal({ reason: 'ProviderConflict', message: 'two providers' });
    expect(facts(policyKey)?.keys).to.deep.equal([]);
  });

  it('say whether an AuthorizationPolicy is a dry run', () => {
    const isDryRun = (annotations: object | undefined): boolean | undefined => {
      clusterState.upsertPolicy(custom('ext', { metadata: { namespace: 'foo', name: 'c', generation: 1, uid: 'c', annotations } }));
      return facts('AuthorizationPolicy/foo/c')?.isDryRun;
    };

    expect(isDryRun({ 'istio.io/dry-run': 'true' })).to.equal(true);
    expect(isDryRun({ 'istio.io/dry-run': 'false' })).to.equal(false);
    expect(isDryRun({ 'istio.io/dry-run': 'perhaps' })).to.equal(false);
    expect(isDryRun(undefined)).to.equal(false);
    clusterState.upsertPolicy({
      ...policy(),
      metadata: { namespace: 'foo', name: 'p', generation: 1, uid: 'p', annotations: { 'istio.io/dry-run': 'true' } },
    });
    expect(facts()?.isDryRun).to.equal(false);
  });

  it('name three keys that are not used, and the number of the others', () => {
    const leftOutOf = (count: number): string | undefined => {
      const leftOut = Array.from({ length: count }, (_, at) => `keys[${at}]: odd`);
      keyStates = [{ kind: 'fresh', url: 'https://idp/keys', leftOut }];
      clusterState.upsertPolicy(policy({ jwtRules: [{ issuer: '0' }] }));
      return facts()?.keys[0]?.reason;
    };

    expect(leftOutOf(0)).to.equal(undefined);
    expect(leftOutOf(3)).to.equal('keys of the fetched set are not used: keys[0]: odd; keys[1]: odd; keys[2]: odd');
    expect(leftOutOf(5)).to.equal('keys of the fetched set are not used: keys[0]: odd; keys[1]: odd; keys[2]: odd; and 2 more');
  });

  it('say that no port is captured only when ports are excluded for that', () => {
    clusterState.pods.upsert({ ...pod('portless'), ports: [], agent: { ports: [], excluded: [], level: 2 }, privileges: ['odd'] });
    clusterState.pods.upsert({ ...pod('partly'), agent: { ports: [80], excluded: [8080], level: 2 } });
    clusterState.upsertPolicy(policy());

    expect(facts()?.bypassed.map(({ workload }) => workload)).to.deep.equal(['foo/pod/partly', 'foo/pod/portless']);
    expect(facts()?.uncaptured).to.deep.equal([]);
  });

  it('say why nothing can be signed, if so', () => {
    clusterState.upsertPolicy(policy());
    const entry = clusterState.policies.get(KEY) as PolicyEntry;
    const signed = (signing?: () => string | undefined): PolicyFacts | undefined =>
      policyFacts(entry, {
        clusterState,
        ledger,
        mesh: () => mesh,
        jwksCache: { stateOf: () => ({ kind: 'inline' }) },
        ...(signing && { signing }),
      });

    expect(signed(() => 'no keys')?.signing).to.equal('no keys');
    expect(signed(() => undefined)).not.to.have.property('signing');
    expect(signed()).not.to.have.property('signing');
  });

  it('say what is withheld from other namespaces, by the policy alone', () => {
    const jwks = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0' }] });
    const factsOf = (namespace: string, selector?: object): PolicyFacts | undefined => {
      clusterState.upsertPolicy({
        ...policy({ namespace }),
        spec: { jwtRules: [{ issuer: 'i', jwks }], ...(selector === undefined ? {} : { selector }) },
      });
      return facts(`RequestAuthentication/${namespace}/p`);
    };
    const everywhere = factsOf('istio-system');
    expect(everywhere?.withheld?.reason).to.equal('KeysWithheld');
    expect(everywhere?.findings.map(({ code }) => code)).to.deep.equal(['SP_SECRET']);
    expect(factsOf('istio-system', { matchLabels: { app: 'gateway' } })?.withheld).to.equal(undefined);
    const own = factsOf('foo');
    expect(own?.withheld).to.equal(undefined);
    expect(own?.findings.map(({ code }) => code)).to.deep.equal(['SP_SECRET']);
  });
});
