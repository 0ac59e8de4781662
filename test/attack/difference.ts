/*
 * A documented difference between the agent and Envoy, and how the lists of them are written.
 */
import type { Aspect } from './outcome.ts';

/** Cases that differ in the same way for the same reason. */
export interface Difference {
  /** Full names of the cases. */
  readonly cases: readonly string[];
  /** Exactly these aspects differ, in each of the cases. */
  readonly differs: readonly Aspect[];
  /** What the agent does, and why it is safer or harmless. */
  readonly why: string;
  /** True: Envoy answers the first requests as the agent does, and does not read those behind them. */
  readonly unread?: boolean;
  /** Heading of docs/differences.md. */
  readonly documented: string;
}

/** Full names of cases of one topic. */
export const of = (topic: string, ...names: readonly string[]): readonly string[] => names.map((name) => `${topic}: ${name}`);
