/*
 * Bundles that are signed and not written yet: agents that hold a stream get them before the API server has them. Each is written under the
 * number that agents saw, or replaced by one with a higher number.
 */
import { parseWorkloadKey, type WorkloadKey } from '../api/kube/keys.ts';
import { FairBytes } from '../fair-bytes.ts';
import { sizeInMemory } from './relayed-files.ts';
import type { SignedBundle } from './write-slots.ts';

/** Bundles by workload, up to a number of bytes. */
export interface AnnouncedBundles {
  /** The last one of a workload. Undefined: none, or it is published. */
  readonly get: (key: WorkloadKey) => SignedBundle | undefined;
  /** Replaces that of the workload. @returns false: it does not fit; the one before stays, and agents get this one when it is written */
  readonly set: (key: WorkloadKey, bundle: SignedBundle) => boolean;
  /** To be called when another bundle of the workload is published. */
  readonly onPublished: (key: WorkloadKey) => void;
  /** Forgets that of the workload, or all of them: another replica may lead now. */
  readonly delete: (key?: WorkloadKey) => void;
  /** Calls `listener` for each bundle that is set, or deleted by itself. @returns ends the subscription */
  readonly subscribe: (listener: (workload: WorkloadKey) => void) => () => void;
}

/** Most bytes of signed bundles that wait to be written; each namespace gets a share. */
export const MAX_ANNOUNCED_BYTES: number = 32 * 1024 * 1024;

/** No bundles yet. @param numberOf number of the published bundle of a workload; 0: none */
export function createAnnouncedBundles(numberOf: (key: WorkloadKey) => number): AnnouncedBundles {
  const bundles = new Map<WorkloadKey, SignedBundle>();
  const listeners = new Set<(workload: WorkloadKey) => void>();
  const budget = new FairBytes(MAX_ANNOUNCED_BYTES);
  const remove = (key: WorkloadKey): void => {
    const known = bundles.get(key);
    if (known === undefined) return;
    bundles.delete(key);
    budget.release(parseWorkloadKey(key).namespace, sizeInMemory(known));
  };
  const put = (key: WorkloadKey, bundle: SignedBundle): void => {
    bundles.set(key, bundle);
    budget.take(parseWorkloadKey(key).namespace, sizeInMemory(bundle));
  };
  const isNewer = (key: WorkloadKey, { number }: SignedBundle): boolean => number > numberOf(key);
  return {
    get: (key) => {
      const known = bundles.get(key);
      return known !== undefined && isNewer(key, known) ? known : undefined;
    },
    set: (key, bundle) => {
      const known = bundles.get(key);
      remove(key);
      if (!budget.fits(parseWorkloadKey(key).namespace, sizeInMemory(bundle))) {
        // Agents have seen its number, so that it is not forgotten.
        if (known !== undefined) put(key, known);
        return false;
      }
      put(key, bundle);
      for (const listener of listeners) listener(key);
      return true;
    },
    onPublished: (key) => {
      const known = bundles.get(key);
      if (known !== undefined && !isNewer(key, known)) remove(key);
    },
    delete: (key) => {
      const isKnown = key !== undefined && bundles.has(key);
      for (const each of key === undefined ? [...bundles.keys()] : [key]) remove(each);
      if (isKnown) for (const listener of listeners) listener(key);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
