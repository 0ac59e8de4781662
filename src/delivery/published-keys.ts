/*
 * Reads fetched keys back from published bundles, so that a restarted controller whose identity provider is down does not
 * drop keys that work. The leader reads them once per term.
 */
import { BUNDLE_LABEL } from '../api/kube/names.ts';
import type { KeySet } from '../bundle/bundle.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { listObjects } from '../cluster/list-objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { bundleOfConfigMap, workloadOfConfigMap } from './bundle-config-map.ts';

/** Key sets by namespace, then by key set id. */
export type PublishedKeys = ReadonlyMap<string, ReadonlyMap<string, KeySet>>;

/** Reads every published bundle; logs and skips a damaged one. @throws TransientError when the list fails */
export async function readPublishedKeys(client: KubeClient, logger: Logger, signal: AbortSignal): Promise<PublishedKeys> {
  const found = new Map<string, Map<string, KeySet>>();
  const visit = (raw: RawObject): void => {
    const workload = workloadOfConfigMap(raw);
    if (workload === undefined) return;
    const { namespace } = workload;
    try {
      const { bundle } = bundleOfConfigMap(raw, workload);
      const keySets = found.get(namespace) ?? new Map<string, KeySet>();
      for (const [id, keySet] of Object.entries(bundle.keySets)) if (!keySets.has(id)) keySets.set(id, keySet);
      found.set(namespace, keySets);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      logger.warn({ namespace, name: raw.metadata?.name, code: error.code, err: error }, 'published bundle is not readable');
    }
  };
  await listObjects(client, { resource: CONFIG_MAPS, labelSelector: BUNDLE_LABEL }, visit, signal);
  return found;
}
