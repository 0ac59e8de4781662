/*
 * Memory that requests share. One that needs more than there is waits, and smaller ones go on meanwhile.
 */

interface Waiting {
  readonly bytes: number;
  readonly onTaken: () => void;
}

/** Bytes of which requests take some for a while. */
export class SharedBytes {
  readonly #max: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<Waiting>();
  #taken = 0;

  /** @param waitMs longest time that a request waits, in milliseconds */
  constructor(max: number, waitMs: number) {
    this.#max = max;
    this.#waitMs = waitMs;
  }

  /** Whether one request can have this many, when there are no others. */
  canHold(bytes: number): boolean {
    return this.#needed(bytes) <= this.#max;
  }

  /** Takes bytes as soon as there are enough. @returns false: there were not in time */
  take(bytes: number): Promise<boolean> {
    if (this.#tryTake(bytes)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiting: Waiting = {
        bytes,
        onTaken: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        resolve(false);
      }, this.#waitMs);
      this.#waiting.add(waiting);
    });
  }

  /** Gives back what was taken. */
  release(bytes: number): void {
    this.#taken -= bytes;
    for (const waiting of this.#waiting) {
      if (!this.#tryTake(waiting.bytes)) continue;
      this.#waiting.delete(waiting);
      waiting.onTaken();
    }
  }

  #tryTake(bytes: number): boolean {
    if (this.#taken + this.#needed(bytes) > this.#max) return false;
    this.#taken += bytes;
    return true;
  }

  /** A request must leave as much free as it takes, up to a quarter of all: large ones never take what small ones need. */
  #needed(bytes: number): number {
    return bytes + Math.min(bytes, this.#max / 4);
  }
}

const [OBJECT, LIST, QUOTE] = Array.from('{["', (character) => character.charCodeAt(0));

/** What JSON takes of a heap while it is parsed and afterwards, roughly: an empty object takes twenty times its length. */
export function heapBytes(json: Uint8Array): number {
  let bytes = json.length;
  for (const byte of json) {
    if (byte === QUOTE) bytes += 12;
    else if (byte === OBJECT) bytes += 64;
    else if (byte === LIST) bytes += 56;
  }
  return bytes;
}
