/*
 * A fuzz target takes one input (one latin1 character per byte) and throws when a property does not hold.
 */
import type { Random } from './random.ts';

/** Small mutations of a string, for targets that mutate a decoded part of their input. */
export type Mutate = (text: string, random: Random) => string;

export interface FuzzTarget {
  readonly name: string;
  /** The properties that hold for every input, for the output. */
  readonly properties: string;
  readonly seeds: readonly string[];
  /** Strings that are special to the parser. */
  readonly dictionary: readonly string[];
  /** Inputs that once violated a property; always run. */
  readonly regressions: readonly string[];
  /** JSON inputs are also mutated as trees. */
  readonly json?: true;
  /** A mutation specific to this target; undefined: not possible for this input. */
  mutate?(text: string, random: Random, mutate: Mutate): string | undefined;
  /** @throws when a property does not hold */
  run(input: string): void;
}

/** @throws Error with `message` unless `condition` */
export function hold(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
