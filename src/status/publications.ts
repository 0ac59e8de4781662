/*
 * What is published, as reconcile last left it. In: one record per workload. Out: look-ups for status and metrics, and word
 * of every change. Lives as long as one term of leadership.
 */
import type { PolicyKey } from '../api/kube/keys.ts';
import type { Finding } from '../errors.ts';
import { createStore, type Store } from '../state/store.ts';

/** The bundle of one workload. */
export interface Publication {
  /** `namespace/name`. */
  readonly workload: string;
  /** Digest of the bundle that is published; absent: none yet. */
  readonly digest?: string;
  /** The generation of each policy that the published bundle holds. */
  readonly generations: ReadonlyMap<PolicyKey, number>;
  /** What compiling found, by policy. */
  readonly findings: ReadonlyMap<PolicyKey, readonly Finding[]>;
  /** Why the newest bundle was not published although the last one stays; absent: it was. */
  readonly refusal?: Finding;
}

export type Publications = Store<Publication>;

/** No publications. */
export function createPublications(): Publications {
  return createStore<Publication>({
    keyOf: (publication) => publication.workload,
    indexes: {},
    same: (before, after) =>
      before.digest === after.digest &&
      before.refusal?.message === after.refusal?.message &&
      JSON.stringify([...before.generations]) === JSON.stringify([...after.generations]) &&
      JSON.stringify([...before.findings]) === JSON.stringify([...after.findings]),
  });
}
