/*
 * Numbers for whoever scrapes. In: the parts of the controller. Out: functions that count when asked. Called by the metrics
 * registry at each scrape.
 */
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { StatusLoop } from '../status/status-loop.ts';
import type { ControllerGauges } from '../telemetry/controller-metrics.ts';
import type { Pipeline } from './pipeline.ts';

export interface GaugeSources {
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  /** Empty while another replica leads. */
  readonly term: { readonly pipeline?: Pipeline; readonly statuses?: StatusLoop };
}

/** The gauges; each costs a pass over what it counts. */
export function createGauges({ clusterState, jwksCache, term }: GaugeSources): ControllerGauges {
  return {
    bundles: () => countBundles(clusterState, term.pipeline),
    policies: () => countPolicies(clusterState),
    workloads: () => countWorkloads(clusterState),
    keyAges: jwksCache.ages,
    running: () => ({
      workload: term.pipeline?.queue.running() ?? [],
      'policy-status': term.statuses?.queue.running() ?? [],
    }),
  };
}

function countBundles(clusterState: ClusterState, pipeline: Pipeline | undefined): Readonly<Record<string, number>> {
  // A follower has published nothing and must not look as if it had lost everything.
  if (pipeline === undefined) return {};
  const counts = { published: 0, pending: 0, refused: 0 };
  for (const workload of clusterState.selection.workloads()) {
    const publication = pipeline.publications.get(workload);
    if (publication?.refusal !== undefined) counts.refused += 1;
    else if (publication === undefined) counts.pending += 1;
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
