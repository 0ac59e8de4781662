/*
 * Reads keys back from published bundles. In: the cluster. Out: the fetched key sets of each namespace by id, so that a
 * restarted controller whose identity provider is down does not drop keys that work. Called once per term of leadership.
 */
import { BUNDLE_DIGEST_KEY, BUNDLE_GZIP_KEY, BUNDLE_KEY, BUNDLE_LABEL } from '../api/kube/names.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { type BundleFiles, decodeBundle } from '../bundle/decode.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { listObjects } from '../cluster/list-objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { observeBundle } from './observed-bundle.ts';

/** Key sets by namespace, then by key set id. */
export type PublishedKeys = ReadonlyMap<string, ReadonlyMap<string, KeySet>>;

/** Reads every readable bundle; one that is not is logged and passed over. @throws TransientError when the list fails */
export async function readPublishedKeys(client: KubeClient, logger: Logger, signal: AbortSignal): Promise<PublishedKeys> {
  const found = new Map<string, Map<string, KeySet>>();
  const visit = (raw: RawObject): void => {
    const observed = observeBundle(raw);
    if (observed === undefined) return;
    const { namespace } = observed.workload;
    try {
      const { bundle } = decodeBundle(filesOf(raw), observed.workload);
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

function filesOf(raw: RawObject): BundleFiles {
  const data = (raw['data'] ?? {}) as Readonly<Record<string, string>>;
  const binaryData = (raw['binaryData'] ?? {}) as Readonly<Record<string, string>>;
  return {
    ...bytes(BUNDLE_KEY, data[BUNDLE_KEY], 'utf8'),
    ...bytes(BUNDLE_DIGEST_KEY, data[BUNDLE_DIGEST_KEY], 'utf8'),
    ...bytes(BUNDLE_GZIP_KEY, binaryData[BUNDLE_GZIP_KEY], 'base64'),
  };
}

function bytes(key: string, text: string | undefined, encoding: 'utf8' | 'base64'): BundleFiles {
  return text === undefined ? {} : { [key]: Buffer.from(text, encoding) };
}
