/*
 * What the feed serves, from the caches of a replica.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import { parseWorkloadKey, type WorkloadKey } from '../api/kube/keys.ts';
import { hasInlineKeys, keySetId } from '../compile/key-set-id.ts';
import type { FeedSource, UnknownKeyResult } from '../feed-server/agent-streams.ts';
import type { Replica } from './replica.ts';

/** An agent may say what it likes: it costs one write in this time, in milliseconds. */
const RENEW_PAUSE_MS = 60_000;
const MAX_RENEWED = 10_000;

/** The bundles that are announced or published, with their files as the leader signed them. */
export function createFeedSource(
  { clusterState, ledger, jwksCache, delivery, clock }: Pick<Replica, 'clusterState' | 'ledger' | 'jwksCache' | 'delivery' | 'clock'>,
  { relayed, held, fromLeader }: Pick<Replica, 'relayed' | 'held' | 'fromLeader'>,
): FeedSource {
  /** When the bundles of workloads may be renewed again, for the last {@link MAX_RENEWED} of them. */
  const renewable = new Map<WorkloadKey, number>();
  return {
    podOf: clusterState.pods.get,
    onPod: (listener) => clusterState.pods.subscribe(({ key }) => listener(key)),
    currentOf: (workload) => {
      const published = ledger.get(workload)?.published;
      const ahead = delivery.announced.get(workload);
      const { namespace } = parseWorkloadKey(workload);
      if (ahead !== undefined) return { number: ahead.number, read: (signal) => relayed.withIndex(namespace, ahead, signal) };
      const sent = fromLeader.get(workload);
      if (sent !== undefined) return { number: sent.number, held: held.get(workload, sent.number), read: async () => sent };
      if (published?.current === undefined) return undefined;
      const { number } = published.current;
      return { number, held: held.get(workload, number), read: (signal) => relayed.read(workload, published, signal) };
    },
    onBundle: (listener) => {
      const unsubscribes = [
        ledger.subscribe(({ key }) => listener(key)),
        delivery.announced.subscribe(listener),
        fromLeader.subscribe(listener),
      ];
      return () => {
        for (const unsubscribe of unsubscribes) unsubscribe();
      };
    },
    onAhead: (workload, number) => {
      const nowMs = clock.nowMs();
      if ((renewable.get(workload) ?? 0) > nowMs) return;
      const [oldest] = renewable.keys();
      if (renewable.size >= MAX_RENEWED && oldest !== undefined) renewable.delete(oldest);
      renewable.delete(workload);
      renewable.set(workload, nowMs + RENEW_PAUSE_MS);
      delivery.renew(parseWorkloadKey(workload), number);
    },
    onUnknownKeys: (workload, keys) => {
      const results = new Map<string, UnknownKeyResult>([...keys.keys()].map((keySet) => [keySet, 'foreign']));
      for (const [rule, namespace] of fetchedRules({ clusterState }, workload)) {
        const keySet = keySetId(rule);
        const kid = keys.get(keySet);
        const result = kid === undefined ? undefined : jwksCache.seek(rule, namespace, kid);
        if (result !== undefined) results.set(keySet, result);
      }
      return [...results.values()];
    },
  };
}

/** The rules with fetched keys that apply to a workload, and the namespaces of their policies. */
function* fetchedRules({ clusterState }: Pick<Replica, 'clusterState'>, workload: WorkloadKey): Iterable<readonly [JwtRule, string]> {
  for (const policy of clusterState.selection.policiesOf(workload).values()) {
    if (policy.kind !== 'RequestAuthentication') continue;
    for (const rule of policy.spec.jwtRules ?? []) if (!hasInlineKeys(rule)) yield [rule, policy.metadata.namespace];
  }
}
