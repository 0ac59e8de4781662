/*
 * Seeds the key cache with the keys of the published bundles at the start of a term, before anything is published: keys that
 * work must not disappear because an identity provider is down. Keys serve only bundles of the same namespace; those of rules of the root
 * namespace, which apply everywhere, also serve namespaces that have no bundle yet.
 */
import type { Policy } from '../api/istio/resources.ts';
import type { Signer } from '../bundle/signer.ts';
import type { Clock } from '../clock.ts';
import type { ListAll } from '../cluster/list-objects.ts';
import { hasInlineKeys, keySetId } from '../compile/key-set-id.ts';
import { type PublishedKeySet, type PublishedKeys, readPublishedKeys } from '../delivery/published-keys.ts';
import { EVERY_NAMESPACE, type JwksCache } from '../jwks/jwks-cache.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { Logger } from '../telemetry/logger.ts';
import { untilRead } from './until-read.ts';

/** Where keys are read from and seeded into. */
export interface SeedOptions {
  readonly list: ListAll;
  /** Undefined: the signing keys are missing, and nothing that is published can be trusted. */
  readonly signer: () => Signer | undefined;
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly rootNamespace: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Retries until it succeeds or `signal` aborts: publishing without these keys could remove working ones. */
export async function seedKeys(options: SeedOptions, signal: AbortSignal): Promise<void> {
  // To read and verify every bundle again is a good part of a takeover.
  if (![...options.clusterState.policies.values()].some(({ active }) => hasFetchedKeys(active))) return;
  const read = async (): Promise<PublishedKeys | undefined> => {
    const signer = options.signer();
    return signer === undefined ? undefined : readPublishedKeys({ ...options, signer }, signal);
  };
  const published = await untilRead(read, { what: 'published keys', ...options }, signal);
  if (published !== undefined) seedAll(options, published);
}

function hasFetchedKeys(policy: Policy | undefined): boolean {
  return policy?.kind === 'RequestAuthentication' && (policy.spec.jwtRules ?? []).some((rule) => !hasInlineKeys(rule));
}

function seedAll({ clusterState, jwksCache, rootNamespace }: SeedOptions, published: PublishedKeys): void {
  const newest = newestOf(published);
  const root = rootNamespace();
  for (const { active } of clusterState.policies.byIndex('scope', root)) {
    if (active?.kind !== 'RequestAuthentication') continue;
    for (const rule of active.spec.jwtRules ?? []) {
      const keySet = newest.get(keySetId(rule))?.keySet;
      if (keySet !== undefined) jwksCache.seed(rule, keySet, { policy: root, bundle: EVERY_NAMESPACE });
    }
  }
  for (const [namespace, keySets] of published) {
    for (const policy of clusterState.policiesInScope(namespace)) {
      if (policy.kind !== 'RequestAuthentication') continue;
      for (const rule of policy.spec.jwtRules ?? []) {
        const keySet = keySets.get(keySetId(rule))?.keySet;
        if (keySet !== undefined) jwksCache.seed(rule, keySet, { policy: policy.metadata.namespace, bundle: namespace });
      }
    }
  }
}

/** The newest of the key sets with the same id. An older bundle that is written again has a lower number. */
function newestOf(published: PublishedKeys): ReadonlyMap<string, PublishedKeySet> {
  const newest = new Map<string, PublishedKeySet>();
  for (const keySets of published.values()) {
    for (const [id, found] of keySets) if (found.number > (newest.get(id)?.number ?? -1)) newest.set(id, found);
  }
  return newest;
}
