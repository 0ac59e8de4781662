import { expect } from 'chai';
import { parseWorkloadKey } from '../../../src/api/kube/keys.ts';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { type ClusterState, createClusterState, type PolicyEntry } from '../../../src/state/cluster-state.ts';
import { type AgentReports, type AgentState, createAgentReports, GRACE_MS } from '../../../src/status/agent-reports.ts';
import { conditionsOf } from '../../../src/status/conditions.ts';
import { policyFacts } from '../../../src/status/policy-facts.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { slimPod } from '../../support/guarded-pods.ts';

const KEY = 'AuthorizationPolicy/foo/p';
const WORKLOAD = 'foo/deployment/web';

describe('the condition Programmed', () => {
  let clock: FakeClock;
  let clusterState: ClusterState;
  let ledger: WorkloadLedger;
  let agents: AgentReports;

  beforeEach(() => {
    clock = createFakeClock();
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    ledger = createWorkloadLedger();
    agents = createAgentReports(clock);
  });
  afterEach(() => agents.endTerm());

  const pod = (name: string, over: Partial<SlimPod> = {}): void => {
    const owner = { controller: true, kind: 'ReplicaSet', apiVersion: 'apps/v1', name: 'web-abc', uid: 'rs' };
    const metadata = { namespace: 'foo', name, uid: `uid-${name}`, labels: { 'pod-template-hash': 'abc' }, ownerReferences: [owner] };
    const slim = slimPod({ metadata, status: { phase: 'Running', podIP: '10.0.0.1' } });
    clusterState.pods.upsert({ ...slim, agent: { ports: [], excluded: [], level: 2, hasFeed: true }, ...over });
  };
  const policy = (generation: number, uid = 'one', over: object = {}): void =>
    clusterState.upsertPolicy({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { namespace: 'foo', name: 'p', generation, uid },
      spec: { rules: [{}] },
      ...over,
    });
  const compile = (revision: string, generation: number, { uid = 'one', basis = 'basis' } = {}): void =>
    ledger.desire(WORKLOAD, { revision, policies: new Map([[KEY, generation]]), uids: new Map([[KEY, uid]]), findings: new Map(), basis });
  const publish = (revision: string, generation: number): void =>
    ledger.setPublished(WORKLOAD, { workload: parseWorkloadKey(WORKLOAD), revision, policies: new Map([[KEY, generation]]) });
  const enforce = (name: string, revision: string, more: Partial<AgentState> = {}): void =>
    agents.set(`foo/${name}`, { uid: `uid-${name}`, revision, ...more });
  const condition = (): string | undefined => {
    const entry = clusterState.policies.get(KEY) as PolicyEntry;
    const sources = {
      clusterState,
      ledger,
      agents,
      mesh: () => DEFAULT_MESH_CONFIG,
      jwksCache: { stateOf: () => ({ kind: 'inline' }) as const },
    };
    const facts = policyFacts(entry, sources);
    if (facts === undefined) return undefined;
    const found = conditionsOf(entry, facts).find(({ type }) => type === 'Programmed');
    return found === undefined ? undefined : `${found.status} ${found.reason}: ${found.message}`;
  };
  const ready = (): void => {
    policy(1);
    for (const name of ['a', 'b']) pod(name);
    compile('r1', 1);
    publish('r1', 1);
  };

  const programmed = (): void => {
    ready();
    for (const name of ['a', 'b']) enforce(name, 'r1');
  };

  it('stays while a bundle with another version of another policy is on its way', () => {
    programmed();
    const stays = 'True Programmed: Enforced by 2 of 2 agents';
    compile('r2', 1);
    expect(condition(), 'compiled').to.equal(stays);
    enforce('a', 'r2');
    expect(condition(), 'at one agent').to.equal(stays);
    publish('r2', 1);
    expect(condition(), 'written').to.equal(stays);
    enforce('b', 'r2', { refused: 'SP_BUNDLE_SIGNATURE' });
    expect(condition(), 'refused before').to.equal(stays);
  });

  it('ends with another generation or another object, whatever agents enforced before', () => {
    programmed();
    policy(2);
    compile('r2', 2);
    publish('r2', 2);
    expect(condition()).to.equal('False Pending: Enforced by 0 of 2 agents. Not yet enforced by: foo/a, foo/b');
    policy(1, 'two');
    compile('r3', 1, { uid: 'two' });
    publish('r3', 1);
    expect(condition()).to.equal('False Pending: Enforced by 0 of 2 agents. Not yet enforced by: foo/a, foo/b');
  });

  it('ends while a bundle with other keys or settings is on its way', () => {
    programmed();
    compile('r2', 1, { basis: 'other keys' });
    expect(condition()).to.equal('False Pending: Enforced by 0 of 2 agents. Not yet enforced by: foo/a, foo/b');
    publish('r2', 1);
    enforce('a', 'r2');
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not yet enforced by: foo/b');
  });

  it('names an agent that refused a bundle, although it enforces the version with another one', () => {
    programmed();
    compile('r2', 1);
    publish('r2', 1);
    enforce('a', 'r1', { refused: 'SP_BUNDLE_SIGNATURE' });
    expect(condition()).to.equal('False BundleRefused: Enforced by 1 of 2 agents. Refused by: foo/a (SP_BUNDLE_SIGNATURE)');
  });

  it('does not count agents with a bundle that this leader did not compile, or long ago', () => {
    programmed();
    for (const revision of ['r2', 'r3', 'r4']) compile(revision, 1);
    publish('r4', 1);
    expect(condition()).to.equal('True Programmed: Enforced by 2 of 2 agents');
    compile('r5', 1);
    enforce('b', 'r0');
    expect(condition()).to.equal('False Pending: Enforced by 0 of 2 agents. Not yet enforced by: foo/a, foo/b');
  });

  it('counts neither of two agents of a pod that say different things, and names the pod', () => {
    programmed();
    enforce('a', 'r1', { second: 'differs' });
    expect(condition()).to.equal('False TwoStreams: Enforced by 1 of 2 agents. Two streams that differ: foo/a');
    enforce('a', 'r1', { second: 'agrees' });
    expect(condition()).to.equal('True Programmed: Enforced by 2 of 2 agents. Two streams: foo/a');
    enforce('a', 'r1', { second: 'silent' });
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not yet enforced by: foo/a');
    enforce('a', 'r0', { second: 'agrees' });
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not yet enforced by: foo/a. Two streams: foo/a');
  });

  it('is true when every agent says that it enforces the published bundle', () => {
    ready();
    expect(condition()).to.equal('False Pending: Enforced by 0 of 2 agents. Not connected: foo/a, foo/b');
    enforce('a', 'r1');
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not connected: foo/b');
    enforce('b', '');
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not yet enforced by: foo/b');
    enforce('b', 'r1');
    expect(condition()).to.equal('True Programmed: Enforced by 2 of 2 agents');
  });

  it('is false from the edit until the agents enforce the next bundle', () => {
    programmed();
    policy(2);
    const waiting = 'False Pending: Enforced by 0 of 2 agents. Not yet enforced by: foo/a, foo/b';
    expect(condition()).to.equal(waiting);
    compile('r2', 2);
    expect(condition()).to.equal(waiting);
    publish('r2', 2);
    expect(condition()).to.equal(waiting);
    for (const name of ['a', 'b']) enforce(name, 'r2');
    expect(condition()).to.equal('True Programmed: Enforced by 2 of 2 agents');
  });

  it('is false for a policy that was deleted and created again with the same generation', () => {
    programmed();
    policy(1, 'two');
    expect(condition()).to.match(/^False Pending/);
    compile('r1', 1, { uid: 'two' });
    expect(condition()).to.match(/^True/);
  });

  it('names agents that refuse the bundle', () => {
    ready();
    enforce('a', 'r1');
    enforce('b', 'r0', { refused: 'SP_BUNDLE_SIGNATURE' });
    expect(condition()).to.equal('False BundleRefused: Enforced by 1 of 2 agents. Refused by: foo/b (SP_BUNDLE_SIGNATURE)');
  });

  it('counts no report of a pod that had the same name, and no agent without the feed', () => {
    ready();
    enforce('a', 'r1');
    enforce('b', 'r1', { uid: 'former' });
    pod('c', { agent: { ports: [], excluded: [], level: 2 } });
    expect(condition()).to.equal('False Pending: Enforced by 1 of 3 agents. Not connected: foo/b. Injected without the feed: foo/c');
  });

  it('waits for no pod without an address, and for one that is being deleted only while its agent reports', () => {
    programmed();
    const { podIP: _podIP, ...starting } = clusterState.pods.get('foo/a') as SlimPod;
    clusterState.pods.upsert({ ...starting, name: 'new', uid: 'uid-new' });
    pod('going', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(condition()).to.equal('True Programmed: Enforced by 2 of 2 agents');
    enforce('going', 'r0');
    expect(condition()).to.equal('False Pending: Enforced by 2 of 3 agents. Not yet enforced by: foo/going');
  });

  it('keeps what an agent said for a while after its stream ended', () => {
    programmed();
    agents.remove('foo/a');
    expect(condition()).to.match(/^True/);
    clock.advance(GRACE_MS);
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not connected: foo/a');
  });

  it('is left as it was while agents are on their way to a new leader', () => {
    agents.beginTerm();
    ready();
    enforce('a', 'r1');
    expect(condition()).to.equal(undefined);
    clock.advance(GRACE_MS);
    expect(condition()).to.equal('False Pending: Enforced by 1 of 2 agents. Not connected: foo/b');
  });

  it('is true for a policy that selects nothing, and false for one that is invalid or selects only pods without an agent', () => {
    policy(1);
    expect(condition()).to.equal('True SelectsNothing: Selects no workload');
    const bare = slimPod({ metadata: { namespace: 'foo', name: 'bare' }, status: { phase: 'Running' } }, false);
    clusterState.pods.upsert(bare);
    expect(condition()).to.equal('False NoAgent: No selected workload has an agent: foo/pod/bare');
    policy(2, 'one', { spec: { action: 'NONSENSE' } });
    expect(condition()).to.match(/^False NotAccepted: /);
  });
});
