/* A sink that remembers. In: bundles. Out: what is published, every call in order, and a failure when the test wants one. */
import type { WorkloadRef } from '../../src/api/kube/keys.ts';
import type { EncodedBundle } from '../../src/bundle/bundle.ts';
import type { ApplyContext, BundleSink } from '../../src/delivery/sink.ts';

export interface MemorySink extends BundleSink {
  readonly published: ReadonlyMap<string, EncodedBundle>;
  readonly contexts: ReadonlyMap<string, ApplyContext>;
  /** `created foo/httpbin`, `unchanged …`, `removed …`. */
  readonly calls: readonly string[];
  /** Thrown by the next apply. */
  failWith: Error | undefined;
  /** Somebody else changes a bundle. */
  readonly tamper: (workload: WorkloadRef) => void;
}

/** An empty sink. */
export function createMemorySink(): MemorySink {
  const published = new Map<string, EncodedBundle>();
  const contexts = new Map<string, ApplyContext>();
  const calls: string[] = [];
  const listeners = new Set<(workload: WorkloadRef) => void>();
  const keyOf = ({ namespace, name }: WorkloadRef): string => `${namespace}/${name}`;
  const sink: MemorySink = {
    published,
    contexts,
    calls,
    failWith: undefined,
    apply: (encoded, context) => {
      const failure = sink.failWith;
      sink.failWith = undefined;
      if (failure !== undefined) return Promise.reject(failure);
      const key = keyOf(encoded.workload);
      const before = published.get(key);
      const result = before === undefined ? 'created' : before.digest === encoded.digest ? 'unchanged' : 'updated';
      published.set(key, encoded);
      contexts.set(key, context);
      calls.push(`${result} ${key}`);
      return Promise.resolve(result);
    },
    remove: (workload) => {
      const existed = published.delete(keyOf(workload));
      if (existed) calls.push(`removed ${keyOf(workload)}`);
      return Promise.resolve(existed);
    },
    list: () => [...published.values()].map(({ workload }) => workload),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tamper: (workload) => {
      published.delete(keyOf(workload));
      for (const listener of listeners) listener(workload);
    },
  };
  return sink;
}
