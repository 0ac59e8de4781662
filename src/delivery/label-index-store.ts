/*
 * The indexes of namespaces as signed ConfigMaps next to the bundles: a primary one, and an alternate for when the primary cannot be written.
 */
import { BUNDLE_LABEL, INDEX_COPIES, MANAGED_BY, MANAGED_BY_LABEL } from '../api/kube/names.ts';
import { indexName } from '../api/kube/workload.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import { formatLabelIndex, type LabelIndex, MAX_INDEX_BYTES, parseLabelIndex } from '../bundle/label-index.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { INDEX_STATEMENT } from '../bundle/statement.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { ListAll } from '../cluster/list-objects.ts';
import { deleteObject } from '../cluster/objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import { TransientError } from '../errors.ts';
import type { DocumentChange, DocumentWatch } from './document-watch.ts';
import { readSignedConfigMap, type StoredDocument, signedConfigMap, signedFilesIn } from './signed-config-map.ts';
import { rawOf, writeConfigMap } from './write-config-map.ts';

/** Writes indexes. Only the leader does. */
export interface LabelIndexStore {
  /** What is published, by namespace. @throws TransientError */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<string, LabelIndex>>;
  /** Publishes an index. @throws TransientError or RefusedError */
  readonly write: (index: LabelIndex, signal: AbortSignal) => Promise<void>;
  /** Removes the index of a namespace. @throws TransientError */
  readonly remove: (namespace: string, signal: AbortSignal) => Promise<void>;
  /** Calls `listener` when another client changed the index of a namespace. @returns a function that ends the subscription */
  readonly subscribe: (listener: (namespace: string) => void) => () => void;
}

/** Parts of a store. */
export interface LabelIndexStoreOptions {
  readonly client: KubeClient;
  readonly list: ListAll;
  /** Undefined: there are no keys, so nothing is read or written. */
  readonly signer: () => Signer | undefined;
  readonly wallMs: () => number;
  readonly documents: DocumentWatch;
  /** Called with the files of each index that is written, see {@link indexFilesIn}; without any when it is removed. */
  readonly onFiles?: (namespace: string, files: BundleFiles) => void;
}

const LABEL_VALUE = 'index';
const COPIES: readonly number[] = Array.from({ length: INDEX_COPIES }, (_, copy) => copy);

/** A store in the cluster that `client` talks to. */
export function createLabelIndexStore(options: LabelIndexStoreOptions): LabelIndexStore {
  const { client, documents } = options;
  const numbers = new Map<string, number>();
  return {
    read: async (signal) => {
      const found = new Map<string, StoredDocument>();
      const signer = options.signer();
      if (signer === undefined) return new Map();
      const visit = (raw: RawObject): void => {
        const { namespace, name } = raw.metadata ?? {};
        if (namespace === undefined || !COPIES.some((copy) => name === indexName(copy))) return;
        const stored = readSignedConfigMap(raw, { schema: INDEX_STATEMENT, namespace, signer, maxBytes: MAX_INDEX_BYTES });
        if (stored === undefined || stored.number <= (found.get(namespace)?.number ?? 0)) return;
        found.set(namespace, stored);
        numbers.set(namespace, stored.number);
        documents.expect(raw);
      };
      await options.list({ resource: CONFIG_MAPS, labelSelector: `${BUNDLE_LABEL}=${LABEL_VALUE}` }, visit, signal);
      return new Map([...found].map(([namespace, { json }]) => [namespace, parseLabelIndex(json)]));
    },
    write: async (index, signal) => {
      const signer = options.signer();
      if (signer === undefined) return;
      const { namespace } = index;
      const number = nextNumber(numbers.get(namespace) ?? 0, options.wallMs());
      const subject = { schema: INDEX_STATEMENT, namespace, number } as const;
      const labels = { [MANAGED_BY_LABEL]: MANAGED_BY, [BUNDLE_LABEL]: LABEL_VALUE };
      // Agents read all copies and take the one with the highest number, so one that can be written is enough.
      for (const copy of COPIES) {
        const desired = signedConfigMap({ name: indexName(copy), labels, json: formatLabelIndex(index) }, subject, signer);
        const write = (): ReturnType<typeof writeConfigMap> => writeConfigMap({ client, desired, known: undefined, isOurs, signal });
        const written = await documents.during(changeOf(namespace, copy), async () => rawOf(await write()));
        if (written !== undefined) {
          numbers.set(namespace, number);
          options.onFiles?.(namespace, indexFilesIn(written, 0));
          return;
        }
      }
      throw new TransientError('SP_KUBE_CONFLICT', `another client holds the index of namespace ${namespace}`);
    },
    remove: async (namespace, signal) => {
      if (!numbers.has(namespace)) return;
      for (const copy of COPIES) await removeCopy(options, { namespace, copy, signal });
      numbers.delete(namespace);
      options.onFiles?.(namespace, {});
    },
    subscribe: (listener) => documents.subscribe('index', listener),
  };
}

async function removeCopy(
  { client, documents }: LabelIndexStoreOptions,
  { namespace, copy, signal }: { readonly namespace: string; readonly copy: number; readonly signal: AbortSignal },
): Promise<void> {
  await documents.during(changeOf(namespace, copy), async () => {
    await deleteObject(client, { resource: CONFIG_MAPS, namespace, name: indexName(copy) }, { signal });
    return undefined;
  });
}

/** The files of an index under the names of a copy in the mounted volume. */
export function indexFilesIn(raw: RawObject, copy: number): BundleFiles {
  const files = Object.entries(signedFilesIn(raw));
  return Object.fromEntries(files.map(([name, content]) => [`index/${copy}/${name}`, Buffer.from(content)]));
}

function changeOf(namespace: string, copy: number): DocumentChange {
  return { kind: LABEL_VALUE, namespace, name: indexName(copy) };
}

function isOurs({ metadata }: RawObject): boolean {
  return metadata?.labels?.[BUNDLE_LABEL] === LABEL_VALUE;
}
