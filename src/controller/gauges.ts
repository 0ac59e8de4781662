/*
 * The gauges of the controller. The metrics registry reads them at each scrape.
 */
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { LedgerView } from '../status/workload-ledger.ts';
import type { ControllerGauges } from '../telemetry/controller-metrics.ts';
import type { Term } from './term.ts';

/** Where the gauges read from. */
export interface GaugeSources {
  readonly clusterState: ClusterState;
  readonly ledger: LedgerView;
  readonly jwksCache: JwksCache;
  readonly keyRing: Pick<KeyRing, 'state'>;
  /** The work of the present term; undefined while another replica leads. */
  readonly term: () => Term | undefined;
}

/** The gauges; reading one costs a pass over what it counts. */
export function createGauges({ clusterState, ledger, jwksCache, keyRing, term }: GaugeSources): ControllerGauges {
  return {
    // Only the leader reports bundles: the sum over all replicas would count each of them twice.
    bundles: () => (term() === undefined ? {} : countBundles(clusterState, ledger)),
    policies: () => countPolicies(clusterState),
    workloads: () => countWorkloads(clusterState),
    keyAges: jwksCache.ages,
    signingKeysUsable: () => (keyRing.state().kind === 'waiting' ? undefined : keyRing.state().kind === 'ready'),
    running: () => ({
      workload: term()?.pipeline.queue.running() ?? [],
      'bundle-write': term()?.writes?.queue.running() ?? [],
      'policy-status': term()?.statuses.queue.running() ?? [],
      'pod-touch': term()?.touches.queue.running() ?? [],
      report: term()?.reports?.queue.running() ?? [],
    }),
  };
}

function countBundles(clusterState: ClusterState, ledger: LedgerView): Readonly<Record<string, number>> {
  const counts = { published: 0, pending: 0, refused: 0 };
  for (const workload of clusterState.selection.workloads()) {
    const record = ledger.get(workload);
    if (record?.refusal !== undefined) counts.refused += 1;
    else if (record?.published === undefined) counts.pending += 1;
    else counts.published += 1;
  }
  return counts;
}

function countPolicies(clusterState: ClusterState): ReturnType<ControllerGauges['policies']> {
  const counts = ['RequestAuthentication', 'AuthorizationPolicy'].flatMap((kind) =>
    [true, false].map((valid) => ({ kind, valid, count: 0 })),
  );
  for (const entry of clusterState.policies.values()) {
    const found = counts.find(({ kind, valid }) => kind === entry.kind && valid === entry.isValid);
    if (found !== undefined) found.count += 1;
  }
  return counts;
}

function countWorkloads(clusterState: ClusterState): ReturnType<ControllerGauges['workloads']> {
  const { selection } = clusterState;
  return { withAgent: selection.workloads().size, withoutAgent: selection.workloadsWithoutAgent().size };
}
