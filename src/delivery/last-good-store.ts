/*
 * Where the last good versions of policies are kept, one record for each namespace that has any. Not for agents: the controller reads them
 * when it starts.
 */
import { canonicalJson } from '../bundle/canonical-json.ts';

/** Policies as objects. */
export type Manifests = readonly object[];

/** Reads and writes the records. Only the leader writes. */
export interface LastGoodStore {
  /** Every record that can be read and verified, by namespace. @throws TransientError */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<string, Manifests>>;
  /** Replaces the record of a namespace; removes it when `manifests` is empty. @throws TransientError or RefusedError */
  readonly write: (namespace: string, manifests: Manifests, signal: AbortSignal) => Promise<void>;
  /** Calls `listener` when another client changed the record of a namespace. @returns a function that ends the subscription */
  readonly subscribe: (listener: (namespace: string) => void) => () => void;
}

/** Largest record in bytes, before compression. */
export const MAX_RECORD_BYTES: number = 4 * 1024 * 1024;

/**
 * The text of a record: as many of the policies, in their order, as fit.
 * @param fits whether a text fits besides {@link MAX_RECORD_BYTES}
 */
export function formatRecord(namespace: string, manifests: Manifests, fits: (json: string) => boolean = () => true): string {
  for (let count = manifests.length; ; count = Math.floor(count / 2)) {
    const json = canonicalJson({ namespace, policies: manifests.slice(0, count) });
    if (count === 0 || (Buffer.byteLength(json) <= MAX_RECORD_BYTES && fits(json))) return json;
  }
}

/** The policies in the text of a record of `namespace`; undefined: it is damaged. */
export function parseRecord(namespace: string, json: string): Manifests | undefined {
  try {
    const record = JSON.parse(json) as { readonly namespace?: unknown; readonly policies?: unknown } | null;
    return record?.namespace === namespace && Array.isArray(record.policies) ? (record.policies as Manifests) : undefined;
  } catch {
    return undefined;
  }
}
