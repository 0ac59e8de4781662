/*
 * Reads fetched keys back from published bundles, so that a restarted controller whose identity provider is down does not
 * drop keys that work. The leader reads them once per term. Only what our own keys signed is read: others could have put theirs there.
 */
import { type WorkloadKey, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_LABEL } from '../api/kube/names.ts';
import type { KeySet } from '../bundle/bundle.ts';
import type { Signer } from '../bundle/signer.ts';
import type { Statement } from '../bundle/statement.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { ListAll } from '../cluster/list-objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import type { Logger } from '../telemetry/logger.ts';
import { bundleOfParts, contentOf, readSlotConfigMap } from './slot-config-map.ts';

/** A key set, and the number of the newest bundle of its namespace that has it. */
export interface PublishedKeySet {
  readonly number: number;
  readonly keySet: KeySet;
}

/** Key sets by namespace, then by key set id. */
export type PublishedKeys = ReadonlyMap<string, ReadonlyMap<string, PublishedKeySet>>;

/** Where published bundles are read from. */
export interface PublishedKeysSource {
  readonly list: ListAll;
  readonly signer: Signer;
  readonly logger: Logger;
}

interface Found {
  statement: Statement;
  readonly namespace: string;
  readonly contents: Buffer[];
}

/** Reads every published bundle; logs and skips a damaged one. @throws TransientError when the list fails */
export async function readPublishedKeys({ list, signer, logger }: PublishedKeysSource, signal: AbortSignal): Promise<PublishedKeys> {
  const found = new Map<string, Map<string, PublishedKeySet>>();
  const incomplete = new Map<WorkloadKey, Found>();
  const take = ({ statement, namespace, contents }: Found): boolean => {
    const bundle = bundleOfParts(statement, contents);
    const keySets = found.get(namespace) ?? new Map<string, PublishedKeySet>();
    const { number } = statement;
    for (const [id, keySet] of Object.entries(bundle?.keySets ?? {}))
      if (number > (keySets.get(id)?.number ?? -1)) keySets.set(id, { number, keySet });
    found.set(namespace, keySets);
    return bundle !== undefined;
  };
  const visit = (raw: RawObject): void => {
    const copy = readSlotConfigMap(raw, signer);
    const content = contentOf(raw);
    if (copy === undefined || content === undefined) return;
    const { workload, statement } = copy;
    const { namespace } = workload;
    if (statement === undefined) {
      logger.warn({ namespace, name: raw.metadata?.name, code: 'SP_BUNDLE_SIGNATURE' }, 'published bundle is not signed with our keys');
      return;
    }
    const key = workloadKey(workload);
    const part: Found = { statement, namespace, contents: [...(incomplete.get(key)?.contents ?? []), content] };
    if (take(part)) incomplete.delete(key);
    else incomplete.set(key, part);
  };
  await list({ resource: CONFIG_MAPS, labelSelector: BUNDLE_LABEL }, visit, signal);
  for (const workload of incomplete.keys()) logger.warn({ workload, code: 'SP_BUNDLE_UNREADABLE' }, 'published bundle is not readable');
  return found;
}
