import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { createGauges } from '../../../src/controller/gauges.ts';
import type { Term } from '../../../src/controller/term.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { createJwksCache } from '../../../src/jwks/jwks-cache.ts';
import type { KeyState } from '../../../src/keys/key-ring.ts';
import { createClusterState } from '../../../src/state/cluster-state.ts';
import { createWorkloadLedger } from '../../../src/status/workload-ledger.ts';
import type { ControllerGauges } from '../../../src/telemetry/controller-metrics.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createWorkQueue, type WorkQueue } from '../../../src/workqueue/queue.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { slimPod } from '../../support/guarded-pods.ts';
import { SIGNER } from '../../support/signing.ts';

function pod(name: string, agent = true): SlimPod {
  return slimPod({ metadata: { namespace: 'foo', name }, status: { phase: 'Running' } }, agent);
}

describe('gauges of the controller', () => {
  const clock = createFakeClock();
  const clusterState = createClusterState(() => DEFAULT_MESH_CONFIG);
  const ledger = createWorkloadLedger();
  const queue = (): WorkQueue => createWorkQueue({ clock, groupOf: () => '' });
  const [workloads, statuses, touches] = [queue(), queue(), queue()];
  const term = { pipeline: { queue: workloads }, statuses: { queue: statuses }, touches: { queue: touches } } as unknown as Term;
  let keyState: KeyState = { kind: 'waiting', message: '' };
  let present: Term | undefined;
  let gauges: ControllerGauges;

  before(async () => {
    const limits = { guards: createAddressGuards({ blockedCidrs: [], isLocal: true }), maxBytes: 1, maxRedirects: 0 };
    const logger = createLogger({ level: 'silent', component: 'test' });
    const jwksCache = createJwksCache({ limits, clock, random: () => 1, logger });
    gauges = createGauges({ clusterState, ledger, jwksCache, keyRing: { state: () => keyState }, term: () => present });
    for (const name of ['done', 'new', 'large']) clusterState.pods.upsert(pod(name));
    clusterState.pods.upsert(pod('bare', false));
    for (const name of ['done', 'large', 'ghost']) {
      ledger.setPublished(`foo/pod/${name}`, { workload: { namespace: 'foo', kind: 'pod', name }, revision: 'r', policies: new Map() });
    }
    ledger.refuse('foo/pod/large', { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: 'too large' });
    workloads.add('foo/pod/new');
    await workloads.take(new AbortController().signal);
    clock.advance(20);
  });

  it('count workloads with an agent by the state of their bundle while this replica leads', () => {
    present = term;
    expect(gauges.bundles()).to.deep.equal({ published: 1, pending: 1, refused: 1 });
  });

  it('report no bundles on a standby', () => {
    present = undefined;
    expect(gauges.bundles()).to.deep.equal({});
    expect(gauges.running()).to.deep.equal({ workload: [], 'bundle-write': [], 'policy-status': [], 'pod-touch': [], report: [] });
  });

  it('report how long keys have been in progress', () => {
    present = term;
    expect(gauges.running()).to.deep.equal({ workload: [20], 'bundle-write': [], 'policy-status': [], 'pod-touch': [], report: [] });
  });

  it('count workloads with and without an agent', () => {
    expect(gauges.workloads()).to.deep.equal({ withAgent: 3, withoutAgent: 1 });
  });

  it('count policies by kind and validity', () => {
    const policy = (name: string, action: string): object => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { namespace: 'foo', name },
      spec: { action, rules: [{}] },
    });
    clusterState.upsertPolicy(policy('good', 'DENY'));
    clusterState.upsertPolicy(policy('bad', 'NONSENSE'));
    expect(gauges.policies().filter(({ count }) => count > 0)).to.deep.equal([
      { kind: 'AuthorizationPolicy', valid: true, count: 1 },
      { kind: 'AuthorizationPolicy', valid: false, count: 1 },
    ]);
  });

  it('say whether bundles can be signed, once it is known', () => {
    expect(gauges.signingKeysUsable()).to.equal(undefined);
    keyState = { kind: 'missing', message: '' };
    expect(gauges.signingKeysUsable()).to.equal(false);
    keyState = { kind: 'ready', signer: SIGNER };
    expect(gauges.signingKeysUsable()).to.equal(true);
  });
});
