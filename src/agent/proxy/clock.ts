/*
 * The agent's two clocks, passed in so that tests can set them. In: nothing. Out: milliseconds. Used by everything in
 * the agent that waits or stamps.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Never goes back; fractions of a millisecond. */
  monotonicMs(): number;
}

/** The machine's clocks. */
export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
