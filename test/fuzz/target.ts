/*
 * What the fuzzer runs. A target takes one input and throws when a property does not hold. In: text of one character per
 * byte. Out: nothing, or the violation.
 */
import type { Random } from './random.ts';

/** Small changes to any text, for targets that change a part of their input in a form of its own. */
export type Mutate = (text: string, random: Random) => string;

export interface FuzzTarget {
  readonly name: string;
  /** What is held to be true of every input, for the output. */
  readonly properties: string;
  readonly seeds: readonly string[];
  /** Pieces that mean something to the parser. */
  readonly dictionary: readonly string[];
  /** Inputs that once broke a property; always run. */
  readonly regressions: readonly string[];
  /** JSON texts are also changed as trees. */
  readonly json?: true;
  /** A change in the form of this target; undefined: none for this text. */
  mutate?(text: string, random: Random, mutate: Mutate): string | undefined;
  /** @throws when a property does not hold */
  run(input: string): void;
}

/** @throws Error with `message` unless `condition` */
export function hold(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
