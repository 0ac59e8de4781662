/*
 * Which parts of the published bundle of a workload its agents have, so that one that connects again gets the next bundle in parts, also from
 * the next leader. Digests only.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { Chunk } from '../bundle/canonical-json.ts';
import { heldOfJson } from '../feed-server/loaded-bundle.ts';

type Held = ReturnType<typeof heldOfJson>;

interface Known {
  readonly number: number;
  readonly held: Held;
}

/** Most digests that are kept; each takes about 70 bytes. Agents of workloads beyond that get whole bundles when they connect again. */
const MAX_DIGESTS = 400_000;

/** Parts by workload. */
export class HeldParts {
  readonly #known = new Map<WorkloadKey, Known>();
  readonly #max: number;
  #digests = 0;

  /** @param max digests; absent: {@link MAX_DIGESTS} */
  constructor(max: number = MAX_DIGESTS) {
    this.#max = max;
  }

  put(key: WorkloadKey, number: number, chunks: readonly Chunk[]): void {
    this.delete(key);
    const held = heldOfJson(chunks);
    this.#known.set(key, { number, held });
    this.#digests += held.size;
    for (const oldest of this.#known.keys()) {
      if (this.#digests <= this.#max) return;
      this.delete(oldest);
    }
  }

  /** Undefined: not known of the bundle with this number. */
  get(key: WorkloadKey, number: number): Held | undefined {
    const known = this.#known.get(key);
    return known?.number === number ? known.held : undefined;
  }

  delete(key: WorkloadKey): void {
    this.#digests -= this.#known.get(key)?.held.size ?? 0;
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
    this.#digests = 0;
  }
}
