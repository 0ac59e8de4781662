import { expect } from 'chai';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { RefusedError } from '../../../src/errors.ts';
import type { ReportContent } from '../../../src/reports/report.ts';
import { createReportLoop, type ReportLoop } from '../../../src/reports/report-loop.ts';
import type { ReportStore } from '../../../src/reports/report-store.ts';
import { type ClusterState, createClusterState } from '../../../src/state/cluster-state.ts';
import type { PolicyFacts } from '../../../src/status/conditions.ts';
import { NO_FACTS } from '../../../src/status/policy-facts.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

const REREAD_MS = 600_000;
const RETRY_MS = 10_000;
const FACTS: PolicyFacts = { ...NO_FACTS, withoutAgent: ['foo/deployment/web'] };

function policy(namespace: string, name: string): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace, name, generation: 1, uid: `${namespace}-${name}` },
    spec: { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
  };
}

describe('report loop', () => {
  let clock: FakeClock;
  let clusterState: ClusterState;
  let rootNamespace: string;
  let reports: Map<string, ReportContent>;
  let calls: string[];
  let missing: boolean;
  let reads: number;
  let warnings: string[];
  let loop: ReportLoop;
  let stop: () => Promise<void>;

  const store: ReportStore = {
    readAll: () => {
      reads += 1;
      return missing ? Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'no such kind')) : Promise.resolve(new Map(reports));
    },
    write: (place, content) => {
      calls.push(`write ${place}`);
      if (missing) return Promise.reject(new RefusedError('SP_KUBE_NOT_FOUND', 'no such kind'));
      reports.set(place, content);
      return Promise.resolve();
    },
    remove: (place) => {
      calls.push(`remove ${place}`);
      reports.delete(place);
      return Promise.resolve();
    },
  };

  const start = (hasClusterReport = true): void => {
    const ending = new AbortController();
    const logger = { warn: (_: object, text: string) => warnings.push(text), info: () => undefined } as unknown as Logger;
    loop = createReportLoop({ clusterState, mesh: () => ({ rootNamespace }), store, hasClusterReport, clock, logger });
    const ended = loop.run(ending.signal);
    stop = async () => {
      ending.abort();
      await ended;
    };
  };
  const settle = async (): Promise<void> => {
    clock.advance(2_000);
    await until(() => loop.queue.depth() === 0 && loop.queue.running().length === 0, 'the queue to be empty');
  };
  const find = (namespace: string, name: string, facts = FACTS): void => {
    const entry = clusterState.policies.get(`AuthorizationPolicy/${namespace}/${name}`);
    if (entry !== undefined) loop.onFacts(entry, facts);
  };

  beforeEach(() => {
    clock = createFakeClock();
    rootNamespace = 'root';
    clusterState = createClusterState(() => ({ ...DEFAULT_MESH_CONFIG, rootNamespace }));
    reports = new Map();
    calls = [];
    missing = false;
    reads = 0;
    warnings = [];
  });
  afterEach(() => stop());

  it('writes a report once every policy of its namespace has been looked at, and only when it says something else', async () => {
    clusterState.upsertPolicy(policy('foo', 'a'));
    clusterState.upsertPolicy(policy('foo', 'b'));
    start();
    await until(() => reads === 1, 'the first read');
    find('foo', 'a');
    await settle();
    expect(calls).to.deep.equal([]);

    find('foo', 'b');
    await settle();
    expect(calls).to.deep.equal(['write foo']);
    expect(reports.get('foo')?.results.map(({ policy: name }) => name)).to.deep.equal(['AuthorizationPolicy/a', 'AuthorizationPolicy/b']);

    clock.advance(5_000);
    find('foo', 'a');
    await settle();
    expect(calls).to.deep.equal(['write foo']);
  });

  it('deletes a report when nothing is left to say, and when the last policy is gone', async () => {
    for (const namespace of ['foo', 'bar']) clusterState.upsertPolicy(policy(namespace, 'a'));
    start();
    await until(() => reads === 1, 'the first read');
    for (const namespace of ['foo', 'bar']) find(namespace, 'a');
    await settle();
    expect([...reports.keys()].sort()).to.deep.equal(['bar', 'foo']);

    find('foo', 'a', NO_FACTS);
    clusterState.removePolicy('AuthorizationPolicy/bar/a');
    await settle();
    expect(reports.size).to.equal(0);
    expect(calls.filter((call) => call.startsWith('remove')).sort()).to.deep.equal(['remove bar', 'remove foo']);
  });

  it('deletes reports that an earlier leader left behind, and writes nothing for policies without findings', async () => {
    clusterState.upsertPolicy(policy('foo', 'a'));
    reports.set('gone', {} as ReportContent);
    start();
    await until(() => reads === 1, 'the first read');
    find('foo', 'a', NO_FACTS);
    await settle();
    expect(calls).to.deep.equal(['remove gone']);
  });

  it('reports policies of the root namespace for the whole cluster, also after the root namespace changed', async () => {
    for (const namespace of ['root', 'foo']) clusterState.upsertPolicy(policy(namespace, 'a'));
    start();
    await until(() => reads === 1, 'the first read');
    for (const namespace of ['root', 'foo']) find(namespace, 'a');
    await settle();
    expect([...reports.keys()].sort()).to.deep.equal(['*', 'foo']);

    rootNamespace = 'foo';
    loop.notifyAll();
    await settle();
    expect([...reports.keys()].sort()).to.deep.equal(['*', 'root']);
    expect(reports.get('*')?.results[0]?.policy).to.equal('AuthorizationPolicy/a');
  });

  it('writes no ClusterReport without rights on the whole cluster', async () => {
    clusterState.upsertPolicy(policy('root', 'a'));
    start(false);
    await until(() => reads === 1, 'the first read');
    find('root', 'a');
    await settle();
    expect([...reports.keys()]).to.deep.equal(['root']);
  });

  it('logs missing CRDs once, and writes when they are there', async () => {
    missing = true;
    clusterState.upsertPolicy(policy('foo', 'a'));
    start();
    await until(() => warnings.length === 1, 'the warning');
    find('foo', 'a');
    await settle();
    for (const count of [2, 3]) {
      clock.advance(RETRY_MS);
      await until(() => reads === count, 'the next read');
    }
    expect(calls).to.deep.equal([]);
    expect(warnings).to.deep.equal(['the CRDs of openreports.io are not installed; no reports are written']);

    missing = false;
    clock.advance(RETRY_MS);
    await until(() => reads === 4, 'the read');
    await settle();
    expect(calls).to.deep.equal(['write foo']);
  });

  it('notices CRDs that are removed later, and reports that other clients changed', async () => {
    clusterState.upsertPolicy(policy('foo', 'a'));
    start();
    await until(() => reads === 1, 'the first read');
    find('foo', 'a');
    await settle();
    missing = true;
    find('foo', 'a', { ...FACTS, notInjectable: ['foo/deployment/other'] });
    await settle();
    clock.advance(RETRY_MS);
    await until(() => warnings.length === 1, 'the warning');

    missing = false;
    reports.clear();
    clock.advance(RETRY_MS);
    await until(() => reads === 3, 'the read');
    await settle();
    expect(reports.get('foo')?.results).to.have.length(2);
    const found = reports.get('foo') as ReportContent;
    reports.set('foo', { ...found, results: found.results.slice(1) });
    for (let waited = 0; waited < REREAD_MS; waited += RETRY_MS) {
      clock.advance(RETRY_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => reads === 4, 'the read of what another client changed');
    await settle();
    expect(reports.get('foo')?.results).to.have.length(2);
  });
});
