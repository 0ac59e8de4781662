/*
 * Time, handed in. In: nothing. Out: a `Clock` that queues, keepers, reflectors and servers wait and measure with, so that
 * tests own the time; and `sleep` on top of it. Every room may use it.
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

/** Resolves after `delayMs`, or at once when `signal` aborts: the caller looks at the signal, nothing is thrown. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
