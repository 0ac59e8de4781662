/*
 * The bundles that the leader sent to this replica, for the agents that hold their streams here: its bytes, also before the API server has them.
 * What is not kept any more is read from the API server once it is published.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import { KeptFiles } from '../delivery/relayed-files.ts';
import type { BundleContent } from '../feed-server/loaded-bundle.ts';
import type { HeldParts } from './held-parts.ts';

/** A bundle with the index of its namespace. */
export interface LeaderBundle extends BundleContent {
  readonly number: number;
}

/** Bundles by workload. */
export class LeaderBundles {
  readonly #kept = new KeptFiles();
  readonly #numberOf: (workload: WorkloadKey) => number;
  readonly #held: Pick<HeldParts, 'put' | 'delete'>;
  readonly #listeners = new Set<(workload: WorkloadKey) => void>();

  /** @param numberOf number of the published bundle of a workload; 0: none */
  constructor(numberOf: (workload: WorkloadKey) => number, held: Pick<HeldParts, 'put' | 'delete'>) {
    this.#numberOf = numberOf;
    this.#held = held;
  }

  /** Undefined: none, or a newer one is published. */
  get(workload: WorkloadKey): LeaderBundle | undefined {
    const kept = this.#kept.get(workload);
    return kept !== undefined && kept.number >= this.#numberOf(workload) ? kept : undefined;
  }

  set(workload: WorkloadKey, { number, files, chunks }: LeaderBundle): void {
    this.#kept.set(workload, { number, files, chunks });
    if (chunks !== undefined) this.#held.put(workload, number, chunks);
    for (const listener of this.#listeners) listener(workload);
  }

  /** The leader withdrew the bundle. */
  delete(workload: WorkloadKey): void {
    this.#kept.delete(workload);
    this.#held.delete(workload);
    for (const listener of this.#listeners) listener(workload);
  }

  /** There is no connection to the leader any more: what it announced is the next leader's to decide. */
  clear(): void {
    this.#kept.clear();
  }

  /** Calls `listener` for each bundle that is new or withdrawn. @returns ends the subscription */
  subscribe(listener: (workload: WorkloadKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
