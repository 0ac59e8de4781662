/*
 * Draws random values from a seed in imperative style, based on fast-check. Each case has its own source, so that a case does not
 * depend on the number of cases before it.
 */
import fc, { type GeneratorValue } from 'fast-check';

/** The only source of randomness of one case. */
export class Draw {
  readonly #next: GeneratorValue;

  constructor(next: GeneratorValue) {
    this.#next = next;
  }

  /** Integer from 0 to `max`, inclusive. */
  upTo(max: number): number {
    return this.#next(fc.noBias, fc.nat({ max }));
  }

  chance(probability: number): boolean {
    return this.upTo(999) < probability * 1000;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.upTo(items.length - 1)] as T;
  }

  /** From `least` to `most` of `items`, each at most once, in a random order. */
  some<T>(items: readonly T[], least: number, most: number): readonly T[] {
    const left = [...items];
    const count = Math.min(left.length, least + this.upTo(most - least));
    return Array.from({ length: count }, () => left.splice(this.upTo(left.length - 1), 1)[0] as T);
  }

  /** An object with or without the result of `make`, for optional members. */
  maybe<T extends object>(probability: number, make: () => T): T | Record<string, never> {
    return this.chance(probability) ? make() : {};
  }

  /** `count` results of `make`. */
  times<T>(count: number, make: (index: number) => T): readonly T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }
}

/** `count` independent sources of draws. */
export function drawsOf(seed: number, count: number): readonly Draw[] {
  return fc.sample(fc.gen(), { seed, numRuns: count }).map((next) => new Draw(next));
}
