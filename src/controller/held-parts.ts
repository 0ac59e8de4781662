/*
 * Which parts of the published bundle of a workload its agents have, so that one that connects again gets the next bundle in parts, also from
 * the next leader. Digests only.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import { heldOfJson } from '../feed-server/loaded-bundle.ts';

type Held = ReturnType<typeof heldOfJson>;

/** Parts by workload. */
export class HeldParts {
  readonly #held = new Map<WorkloadKey, { readonly number: number; readonly held: Held }>();

  put(key: WorkloadKey, number: number, chunks: readonly Chunk[]): void {
    this.#held.set(key, { number, held: heldOfJson(chunks) });
  }

  /** Undefined: not known of the bundle with this number. */
  get(key: WorkloadKey, number: number): Held | undefined {
    const known = this.#held.get(key);
    return known?.number === number ? known.held : undefined;
  }

  delete(key: WorkloadKey): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
  }
}
