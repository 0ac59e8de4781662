/* A delivery into memory. It records every call, and fails or loses a bundle when the test asks for it. */
import { type WorkloadRef, workloadKey } from '../../src/api/kube/keys.ts';
import type { EncodedBundle } from '../../src/bundle/bundle.ts';
import type { Delivery, DeliveryEvent, PublishOptions } from '../../src/delivery/delivery.ts';
import type { WorkloadLedger } from '../../src/status/workload-ledger.ts';

export interface MemoryDelivery extends Delivery {
  readonly published: ReadonlyMap<string, EncodedBundle>;
  readonly options: ReadonlyMap<string, PublishOptions>;
  /** `created foo/httpbin`, `unchanged …`, `removed …`. */
  readonly calls: readonly string[];
  /** Thrown by the next publish. */
  failWith: Error | undefined;
  /** Reported by the next publish as the failure of the copy for agents of the version before. */
  failLegacyWith: Error | undefined;
  /** Deletes a bundle as another client would, with an event. */
  readonly tamper: (workload: WorkloadRef) => void;
}

/** A delivery that has published nothing. */
export function createMemoryDelivery(ledger: WorkloadLedger): MemoryDelivery {
  const published = new Map<string, EncodedBundle>();
  const optionsByKey = new Map<string, PublishOptions>();
  const calls: string[] = [];
  const listeners = new Set<(event: DeliveryEvent) => void>();
  const delivery: MemoryDelivery = {
    published,
    options: optionsByKey,
    calls,
    failWith: undefined,
    failLegacyWith: undefined,
    publish: (encoded, options) => {
      const failure = delivery.failWith;
      delivery.failWith = undefined;
      if (failure !== undefined) return Promise.reject(failure);
      const { workload, digest: revision } = encoded;
      const key = workloadKey(workload);
      const before = published.get(key);
      const result = before === undefined ? 'created' : before.digest === revision ? 'unchanged' : 'updated';
      published.set(key, encoded);
      optionsByKey.set(key, options);
      calls.push(`${result} ${key}`);
      if (delivery.failLegacyWith !== undefined) options.onLegacyFailed?.(delivery.failLegacyWith);
      delivery.failLegacyWith = undefined;
      ledger.setPublished(key, { workload, revision, policies: new Map() });
      return Promise.resolve(result);
    },
    withdraw: (workload) => {
      const key = workloadKey(workload);
      const existed = published.delete(key);
      if (existed) calls.push(`removed ${key}`);
      ledger.setPublished(key, undefined);
      return Promise.resolve(existed);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tamper: (workload) => {
      published.delete(workloadKey(workload));
      ledger.setPublished(workloadKey(workload), undefined);
      for (const listener of listeners) listener({ kind: 'drifted', workload });
    },
  };
  return delivery;
}
