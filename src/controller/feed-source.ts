/*
 * What the feed serves, from the caches of a replica.
 */
import type { RelayedFiles } from '../delivery/relayed-files.ts';
import type { FeedSource } from '../feed-server/agent-streams.ts';
import type { Replica } from './replica.ts';

/** The bundles that are published, with their files as this process wrote them or the API server has them. */
export function createFeedSource({ clusterState, ledger }: Pick<Replica, 'clusterState' | 'ledger'>, relayed: RelayedFiles): FeedSource {
  return {
    podOf: clusterState.pods.get,
    onPod: (listener) => clusterState.pods.subscribe(({ key }) => listener(key)),
    currentOf: (workload) => {
      const published = ledger.get(workload)?.published;
      if (published?.current === undefined) return undefined;
      return { number: published.current.number, files: (signal) => relayed.read(workload, published, signal) };
    },
    onBundle: (listener) => ledger.subscribe(({ key }) => listener(key)),
  };
}
