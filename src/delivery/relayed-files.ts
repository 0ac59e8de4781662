/*
 * The files of published bundles and indexes as the leader wrote them, for the feed: what agents get over a stream are the bytes that
 * are in the ConfigMaps, never something compiled again. What is not kept any more is read from the API server.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import { INDEX_COPIES, SLOT_KEYS_KEY, SLOT_STATEMENT_KEY } from '../api/kube/names.ts';
import { indexName, slotName } from '../api/kube/workload.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import { filesOfSlots, type SlotFiles } from '../bundle/slots.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { readObject } from '../cluster/objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import { indexFilesIn } from './label-index-store.ts';
import { type PublishedCopies, slotsInUse } from './published-copies.ts';
import { contentOf } from './slot-config-map.ts';

/** A bundle with the index of its namespace. */
export interface RelayedBundle {
  /** Under their names in the mounted volume. */
  readonly files: BundleFiles;
  /** The JSON of the bundle; absent: it was read from the API server. */
  readonly chunks?: readonly Chunk[] | undefined;
}

/** The files of the newest bundles. */
export interface RelayedFiles {
  /** Keeps the files of a bundle that is about to be written. */
  readonly putBundle: (key: WorkloadKey, bundle: RelayedBundle & { readonly number: number }) => void;
  /** Forgets the files of a bundle that is withdrawn. */
  readonly delete: (key: WorkloadKey) => void;
  /** Keeps the files of an index that was written. */
  readonly putIndex: (namespace: string, files: BundleFiles) => void;
  /** Forgets what this process wrote: another replica may write now. */
  readonly clear: () => void;
  /** The files of a bundle and those of the index of its namespace. @throws TransientError, RefusedError */
  readonly withIndex: (namespace: string, bundle: RelayedBundle, signal: AbortSignal) => Promise<RelayedBundle>;
  /** The files of the current bundle and the index of its namespace. Undefined: the bundle has none. @throws TransientError, RefusedError */
  readonly read: (key: WorkloadKey, published: PublishedCopies, signal: AbortSignal) => Promise<RelayedBundle | undefined>;
}

/** Most bytes of bundles, and of indexes, that are kept. */
const KEPT_BYTES = 32 * 1024 * 1024;

/** No files yet. @param isLeading whether this process alone writes indexes; absent: it does */
export function createRelayedFiles(client: KubeClient, isLeading: () => boolean = () => true): RelayedFiles {
  const bundles = new KeptFiles();
  const indexes = new KeptFiles();
  /** Indexes that are being read, for all bundles of their namespaces. */
  const reading = new Map<string, Promise<BundleFiles>>();
  const indexOf = async (namespace: string, signal: AbortSignal): Promise<BundleFiles> => {
    // A bundle needs the index that was written with it, and this process does not learn when another replica writes one.
    if (!isLeading()) return await readIndex(client, namespace, signal);
    const kept = indexes.get(namespace)?.files;
    if (kept !== undefined) return kept;
    const read = reading.get(namespace) ?? readIndex(client, namespace, signal);
    reading.set(namespace, read);
    try {
      const files = await read;
      // One that was written meanwhile is newer; one of an earlier term may be older than what another replica wrote.
      if (reading.get(namespace) === read && indexes.get(namespace) === undefined) indexes.set(namespace, { number: 0, files });
      return indexes.get(namespace)?.files ?? files;
    } finally {
      if (reading.get(namespace) === read) reading.delete(namespace);
    }
  };
  const bundleOf = async (key: WorkloadKey, published: PublishedCopies, signal: AbortSignal): Promise<RelayedBundle | undefined> => {
    const number = published.current?.number;
    const kept = bundles.get(key);
    if (number === undefined) return undefined;
    if (kept?.number === number) return kept;
    const { workload } = published;
    const slots = slotsInUse(published).map(async ({ slot }) => {
      const raw = await readObject(
        client,
        { resource: CONFIG_MAPS, namespace: workload.namespace, name: slotName(workload, slot) },
        signal,
      );
      return raw === undefined ? [] : slotFilesIn(raw);
    });
    const files = filesOfSlots((await Promise.all(slots)).flat());
    if ((bundles.get(key)?.number ?? 0) < number) bundles.set(key, { number, files });
    return { files };
  };
  const withIndex: RelayedFiles['withIndex'] = async (namespace, { files, chunks }, signal) => ({
    files: { ...files, ...(await indexOf(namespace, signal)) },
    chunks,
  });
  return {
    withIndex,
    putBundle: (key, { number, files, chunks }) => bundles.set(key, { number, files, chunks }),
    delete: (key) => bundles.delete(key),
    putIndex: (namespace, files) => indexes.set(namespace, { number: 0, files }),
    clear: () => {
      bundles.clear();
      indexes.clear();
      reading.clear();
    },
    read: async (key, published, signal) => {
      const bundle = await bundleOf(key, published, signal);
      return bundle === undefined ? undefined : await withIndex(published.workload.namespace, bundle, signal);
    },
  };
}

async function readIndex(client: KubeClient, namespace: string, signal: AbortSignal): Promise<BundleFiles> {
  const copies = Array.from({ length: INDEX_COPIES }, async (_, copy) => {
    const raw = await readObject(client, { resource: CONFIG_MAPS, namespace, name: indexName(copy) }, signal);
    return raw === undefined ? {} : indexFilesIn(raw, copy);
  });
  return Object.assign({}, ...(await Promise.all(copies))) as BundleFiles;
}

interface Kept extends RelayedBundle {
  readonly number: number;
}

/** Files by key up to {@link KEPT_BYTES}; those that were set first go first. */
export class KeptFiles {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  get(key: string): Kept | undefined {
    return this.#kept.get(key);
  }

  set(key: string, kept: Kept): void {
    this.delete(key);
    this.#kept.set(key, kept);
    this.#bytes += sizeInMemory(kept);
    for (const first of this.#kept.keys()) {
      if (this.#bytes <= KEPT_BYTES) break;
      this.delete(first);
    }
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  delete(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= sizeInMemory(kept);
  }
}

/** Bytes of a bundle that is kept, those of its text included: bundles may share texts, but need not. */
export function sizeInMemory({ files, chunks = [] }: RelayedBundle): number {
  const bytes = Object.values(files).reduce((sum, content) => sum + (content?.length ?? 0), 0);
  return chunks.reduce((sum, { text }) => sum + text.length, bytes);
}

function slotFilesIn(raw: RawObject): readonly SlotFiles[] {
  const part = contentOf(raw);
  const data = (raw['data'] ?? {}) as Readonly<Record<string, string>>;
  if (part === undefined) return [];
  return [{ jws: data[SLOT_STATEMENT_KEY] ?? '', keys: data[SLOT_KEYS_KEY] ?? '', part }];
}
