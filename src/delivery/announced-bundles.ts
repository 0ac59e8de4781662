/*
 * Bundles that are signed and not written yet: agents that hold a stream get them before the API server has them. Each is written under the
 * number that agents saw, or replaced by one with a higher number.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { BundleFiles } from '../bundle/decode.ts';
import type { SignedBundle } from './write-slots.ts';

/** Bundles by workload, up to a number of bytes. */
export interface AnnouncedBundles {
  /** The last one of a workload. Undefined: none, or it is published. */
  readonly get: (key: WorkloadKey) => SignedBundle | undefined;
  /** Replaces that of the workload. @returns false: it does not fit, and agents get it when it is written */
  readonly set: (key: WorkloadKey, bundle: SignedBundle) => boolean;
  /** Forgets that of the workload, or all of them: another replica may lead now. */
  readonly delete: (key?: WorkloadKey) => void;
  /** Calls `listener` for each bundle. @returns ends the subscription */
  readonly subscribe: (listener: (workload: WorkloadKey) => void) => () => void;
}

/** Most bytes of signed bundles that wait to be written. */
export const MAX_ANNOUNCED_BYTES: number = 32 * 1024 * 1024;

/** No bundles yet. @param numberOf number of the published bundle of a workload; 0: none */
export function createAnnouncedBundles(numberOf: (key: WorkloadKey) => number): AnnouncedBundles {
  const bundles = new Map<WorkloadKey, SignedBundle>();
  const listeners = new Set<(workload: WorkloadKey) => void>();
  let bytes = 0;
  const remove = (key: WorkloadKey): void => {
    const known = bundles.get(key);
    if (known === undefined) return;
    bundles.delete(key);
    bytes -= sizeOf(known.files);
  };
  return {
    get: (key) => {
      const known = bundles.get(key);
      if (known === undefined || known.number > numberOf(key)) return known;
      remove(key);
      return undefined;
    },
    set: (key, bundle) => {
      const size = sizeOf(bundle.files);
      const known = bundles.get(key);
      if (bytes + size - (known === undefined ? 0 : sizeOf(known.files)) > MAX_ANNOUNCED_BYTES) return false;
      remove(key);
      bundles.set(key, bundle);
      bytes += size;
      for (const listener of listeners) listener(key);
      return true;
    },
    delete: (key) => {
      for (const each of key === undefined ? [...bundles.keys()] : [key]) remove(each);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function sizeOf(files: BundleFiles): number {
  return Object.values(files).reduce((sum, content) => sum + (content?.length ?? 0), 0);
}
