/*
 * Seeds the key cache with the keys of the published bundles at the start of a term, before anything is published: keys that
 * work must not disappear because an identity provider is down. Keys serve only rules of the bundle's own namespace.
 */
import type { Signer } from '../bundle/signer.ts';
import { type Clock, sleep } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import { keySetId } from '../compile/key-set-id.ts';
import { type PublishedKeys, readPublishedKeys } from '../delivery/published-keys.ts';
import { TransientError } from '../errors.ts';
import type { JwksCache } from '../jwks/jwks-cache.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Where keys are read from and seeded into. */
export interface SeedOptions {
  readonly client: KubeClient;
  /** Undefined: the signing keys are missing, and nothing that is published can be trusted. */
  readonly signer: () => Signer | undefined;
  readonly clusterState: ClusterState;
  readonly jwksCache: JwksCache;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 1_000;

/** Retries until it succeeds or `signal` aborts: publishing without these keys could remove working ones. */
export async function seedKeys(options: SeedOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const signer = options.signer();
      if (signer !== undefined) seedAll(options, await readPublishedKeys({ ...options, signer }, signal));
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof TransientError)) throw error;
      options.logger.warn({ code: error.code, err: error }, 'published keys not read; retrying');
      await sleep(options.clock, RETRY_MS, signal);
    }
  }
}

function seedAll({ clusterState, jwksCache }: SeedOptions, published: PublishedKeys): void {
  for (const [namespace, keySets] of published) {
    for (const policy of clusterState.policiesInScope(namespace)) {
      if (policy.kind !== 'RequestAuthentication') continue;
      for (const rule of policy.spec.jwtRules ?? []) {
        const keySet = keySets.get(keySetId(rule));
        if (keySet !== undefined) jwksCache.seed(rule, keySet, { policy: policy.metadata.namespace, bundle: namespace });
      }
    }
  }
}
