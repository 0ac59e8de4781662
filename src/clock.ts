/*
 * Time, handed in. In: nothing. Out: a `Clock` that queues, keepers and servers wait and measure with, so that tests own
 * the time. Rooms that may not import `src/cluster` take it from here; the two clocks are one shape.
 */

/** Where time comes from. Durations are measured with {@link Clock.nowMs}, dates written with {@link Clock.wallMs}. */
export interface Clock {
  /** Milliseconds from an arbitrary start that only move forward. */
  nowMs(): number;
  /** Milliseconds since 1970 as the machine believes; may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`; the returned function cancels it (harmless when it already ran). */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
