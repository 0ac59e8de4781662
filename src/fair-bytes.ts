/*
 * A number of bytes that groups share. A group may hold at most as much as stays free: one alone gets half, and another one always finds space.
 */

/** Bytes held by group. */
export class FairBytes {
  readonly #max: number;
  readonly #held = new Map<string, number>();
  #total = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Bytes that all groups hold. */
  get total(): number {
    return this.#total;
  }

  /** @returns false: the group would hold more than its share */
  fits(group: string, bytes: number): boolean {
    return (this.#held.get(group) ?? 0) + bytes <= this.#max - this.#total - bytes;
  }

  /** Takes the bytes, whether they fit or not. */
  take(group: string, bytes: number): void {
    this.#held.set(group, (this.#held.get(group) ?? 0) + bytes);
    this.#total += bytes;
  }

  /** Gives back what was taken. */
  release(group: string, bytes: number): void {
    const left = (this.#held.get(group) ?? 0) - bytes;
    if (left > 0) this.#held.set(group, left);
    else this.#held.delete(group);
    this.#total -= bytes;
  }
}
