/* The order in which the index of a namespace and its bundles are published. */
import { expect } from 'chai';
import { policyKey, type WorkloadKey, workloadKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { LabelIndex } from '../../../src/bundle/label-index.ts';
import { createLabelIndexes, type LabelIndexes } from '../../../src/controller/label-indexes.ts';
import type { LabelIndexStore } from '../../../src/delivery/label-index-store.ts';
import { RefusedError } from '../../../src/errors.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { createWorkloadLedger, type WorkloadLedger } from '../../../src/status/workload-ledger.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';
import { podOf } from '../resolve/policies.ts';

const AP = 'AuthorizationPolicy';
const ROOT = 'istio-system';
const WEB: WorkloadKey = workloadKey({ namespace: 'foo', kind: 'statefulset', name: 'web' });

function policy(name: string, labels: Readonly<Record<string, string>> | undefined, namespace = 'foo'): object {
  const selector = labels === undefined ? {} : { selector: { matchLabels: labels } };
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { name, namespace, generation: 1, uid: name },
    spec: { ...selector, action: 'DENY', rules: [{}] },
  };
}

describe('indexes of namespaces', () => {
  let clusterState: ClusterState;
  let ledger: WorkloadLedger;
  let clock: FakeClock;
  let indexes: LabelIndexes;
  let events: string[];
  let refuses: boolean;
  let published: Map<string, LabelIndex>;
  let stop: () => Promise<void>;
  /** As when another client changes the index of a namespace. */
  let tamper: (namespace: string) => void;

  const store: LabelIndexStore = {
    read: () => Promise.resolve(new Map(published)),
    write: (index) => {
      if (refuses) return Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'no'));
      published.set(index.namespace, index);
      events.push(`${index.namespace} ${index.selectors.map((selector) => Object.values(selector).join('+')).join(',')}`);
      return Promise.resolve();
    },
    remove: (namespace) => {
      if (published.delete(namespace)) events.push(`${namespace} removed`);
      return Promise.resolve();
    },
    subscribe: (listener) => {
      tamper = listener;
      return () => undefined;
    },
  };
  /** As after a reconciliation of the workload. */
  const publish = (revision: string): void => {
    ledger.desire(WEB, { revision, policies: new Map(), findings: new Map() });
    ledger.setPublished(WEB, { workload: { namespace: 'foo', kind: 'statefulset', name: 'web' }, revision, policies: new Map() });
    events.push(`bundle ${revision}`);
  };
  const pass = async (ms: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    clock.advance(ms);
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const start = (): void => {
    const ending = new AbortController();
    const running = indexes.run(() => false, ending.signal);
    stop = async () => {
      ending.abort();
      await running;
    };
  };
  beforeEach(() => {
    clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    ledger = createWorkloadLedger();
    clock = createFakeClock();
    events = [];
    refuses = false;
    published = new Map();
    clusterState.pods.upsert(podOf('web', { app: 'web' }));
    const logger = createLogger({ level: 'silent', component: 'test' });
    indexes = createLabelIndexes({ store, clusterState, ledger, rootNamespace: () => ROOT, clock, logger });
    start();
  });
  afterEach(() => stop());

  it('have the selectors of the namespace and of the root namespace, each once', async () => {
    publish('1');
    const all = [policy('a', { tier: 'x' }), policy('b', { tier: 'x' }, ROOT), policy('c', undefined), policy('d', { v: '1' }, 'bar')];
    clusterState.replacePolicies(AP, all);
    await until(() => events.at(-1) === 'foo x', 'the index');
    clusterState.upsertPolicy(policy('e', { v: '2' }, ROOT));
    await until(() => events.at(-1) === 'foo x,2', 'the next index');
  });

  it('get a selector after the bundles that know it', async () => {
    publish('1');
    await until(() => published.has('foo'), 'an index');
    ledger.desire(WEB, { revision: '2', policies: new Map(), findings: new Map() });
    clusterState.upsertPolicy(policy('a', { app: 'web' }));
    await pass(1000);
    expect(events).to.deep.equal(['bundle 1', 'foo ']);
    publish('2');
    await pass(1000);
    expect(events).to.deep.equal(['bundle 1', 'foo ', 'bundle 2', 'foo web']);
  });

  it('are written again immediately when another client changed them, and bundles are not ready', async () => {
    publish('1');
    clusterState.replacePolicies(AP, [policy('a', { tier: 'x' })]);
    await until(() => events.at(-1) === 'foo x', 'the index');
    ledger.desire(WEB, { revision: '2', policies: new Map(), findings: new Map() });
    clusterState.upsertPolicy(policy('b', { tier: 'y' }));
    published.delete('foo');
    tamper('foo');
    await until(() => events.length === 3, 'the same index');
    expect(events).to.deep.equal(['bundle 1', 'foo x', 'foo x']);
  });

  it('are left to Kubernetes in a namespace that is being deleted', async () => {
    publish('1');
    await until(() => published.has('foo'), 'an index');
    clusterState.namespaces.upsert({ name: 'foo', labels: {}, terminating: true });
    tamper('foo');
    await pass(1000);
    expect(events).to.deep.equal(['bundle 1', 'foo ']);
  });

  it('do not wait for long for a bundle that cannot be published', async () => {
    publish('1');
    await until(() => published.has('foo'), 'an index');
    ledger.desire(WEB, { revision: '2', policies: new Map(), findings: new Map() });
    clusterState.upsertPolicy(policy('a', { app: 'web' }));
    for (let step = 0; step < 12; step += 1) await pass(1000);
    expect(events.at(-1)).to.equal('foo web');
  });

  it('lose a selector before the bundles that do not know it any more', async () => {
    publish('1');
    clusterState.replacePolicies(AP, [policy('a', { app: 'web' }), policy('b', { v: '1' })]);
    await until(() => events.at(-1) === 'foo web,1', 'the index');
    refuses = true;
    clusterState.removePolicy(policyKey(AP, 'foo', 'a'));
    await pass(0);
    refuses = false;
    await indexes.beforePublish('foo', new AbortController().signal);
    publish('2');
    expect(events.slice(-2)).to.deep.equal(['foo 1', 'bundle 2']);
    await indexes.beforePublish('foo', new AbortController().signal);
    expect(events.at(-1)).to.equal('bundle 2');
  });

  it('do not keep a bundle from being published when they cannot be written', async () => {
    publish('1');
    clusterState.upsertPolicy(policy('a', { app: 'web' }));
    await until(() => events.at(-1) === 'foo web', 'the index');
    refuses = true;
    clusterState.removePolicy(policyKey(AP, 'foo', 'a'));
    await indexes.beforePublish('foo', new AbortController().signal);
  });

  it('are removed with the last agent of the namespace', async () => {
    publish('1');
    await until(() => published.has('foo'), 'an index');
    clusterState.pods.remove('foo/web-0');
    await until(() => events.at(-1) === 'foo removed', 'the removal');
  });

  it('are not written again by the next leader', async () => {
    publish('1');
    clusterState.upsertPolicy(policy('a', { app: 'web' }));
    await until(() => events.at(-1) === 'foo web', 'the index');
    await stop();
    const before = events.length;
    start();
    await pass(1000);
    expect(events).to.have.length(before);
  });
});
