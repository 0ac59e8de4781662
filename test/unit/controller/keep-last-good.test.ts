/* Records of last good versions over the terms of several processes. */
import { expect } from 'chai';
import { policyKey } from '../../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { keepLastGood, recallLastGood } from '../../../src/controller/keep-last-good.ts';
import type { LastGoodStore, Manifests } from '../../../src/delivery/last-good-store.ts';
import { TransientError } from '../../../src/errors.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, until } from '../../support/fake-clock.ts';

const AP = 'AuthorizationPolicy';
const logger = createLogger({ level: 'silent', component: 'test' });

function deny(generation: number, isValid: boolean): object {
  const operation = isValid ? { paths: ['/secret'] } : { paths: ['/secret'], methods: [''] };
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { name: 'p', namespace: 'foo', uid: 'u', generation },
    spec: { action: 'DENY', rules: [{ to: [{ operation }] }] },
  };
}

describe('records of last good versions', () => {
  let records: Map<string, Manifests>;
  let failures = 0;
  /** As when another client changes the record of a namespace. */
  let tamper: (namespace: string) => void;
  let stops: (() => Promise<void>)[];
  const store: LastGoodStore = {
    read: () => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new TransientError('SP_KUBE_API', 'down')) : Promise.resolve(new Map(records));
    },
    write: (namespace, manifests) => {
      if (manifests.length === 0) records.delete(namespace);
      else records.set(namespace, manifests);
      return Promise.resolve();
    },
    subscribe: (listener) => {
      tamper = listener;
      return () => undefined;
    },
  };
  beforeEach(() => {
    records = new Map();
    failures = 0;
    stops = [];
  });
  afterEach(async () => {
    for (const stop of stops) await stop();
  });

  /** A process that reads `policies` and leads. */
  const start = async (
    ...policies: readonly object[]
  ): Promise<{ readonly clusterState: ClusterState; readonly stop: () => Promise<void> }> => {
    const clock = createFakeClock();
    const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
    const options = { store, clusterState, clock, logger };
    const ending = new AbortController();
    const recalled = recallLastGood(options, ending.signal);
    const ticking = setInterval(() => clock.advance(1000), 1);
    await recalled;
    clearInterval(ticking);
    clusterState.replacePolicies(AP, policies);
    const kept = keepLastGood(options, ending.signal);
    const stop = async (): Promise<void> => {
      ending.abort();
      await kept;
    };
    stops.push(stop);
    return { clusterState, stop };
  };
  const generationOf = (clusterState: ClusterState): number | undefined =>
    clusterState.policies.get(policyKey(AP, 'foo', 'p'))?.active?.metadata.generation;

  it('keep the version across restarts, until a valid one replaces it', async () => {
    const first = await start(deny(1, true));
    first.clusterState.upsertPolicy(deny(2, false));
    await until(() => records.has('foo'), 'a record');
    await first.stop();
    failures = 1;
    const second = await start(deny(2, false));
    expect(generationOf(second.clusterState)).to.equal(1);
    await second.stop();
    const third = await start(deny(2, false));
    expect(generationOf(third.clusterState)).to.equal(1);
    third.clusterState.upsertPolicy(deny(3, true));
    await until(() => !records.has('foo'), 'no record');
  });

  it('are written again when another client changed them', async () => {
    const { clusterState } = await start(deny(1, true));
    clusterState.upsertPolicy(deny(2, false));
    await until(() => records.has('foo'), 'a record');
    records.delete('foo');
    tamper('foo');
    await until(() => records.has('foo'), 'the record');
    records.clear();
    clusterState.namespaces.upsert({ name: 'foo', labels: {}, terminating: true });
    tamper('foo');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(records.size).to.equal(0);
  });

  it('are written by the next leader, when a standby saw the edit', async () => {
    const { clusterState, stop } = await start(deny(1, true));
    await stop();
    clusterState.upsertPolicy(deny(2, false));
    const ending = new AbortController();
    const kept = keepLastGood({ store, clusterState, clock: createFakeClock(), logger }, ending.signal);
    await until(() => records.has('foo'), 'a record');
    ending.abort();
    await kept;
  });

  it('are removed by a later process, when the policy was deleted meanwhile', async () => {
    const first = await start(deny(1, true));
    first.clusterState.upsertPolicy(deny(2, false));
    await until(() => records.has('foo'), 'a record');
    await first.stop();
    await start();
    await until(() => !records.has('foo'), 'no record');
  });
});
