/*
 * Injectable time. Queues, informers, servers and retries wait and measure through a `Clock`, so that tests control time.
 */

/** Source of time. Measure durations with {@link Clock.nowMs}; write dates with {@link Clock.wallMs}. */
export interface Clock {
  /** Monotonic time in milliseconds from an arbitrary origin. */
  nowMs(): number;
  /** Wall-clock time in milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`. The returned function cancels the call and does nothing after `run` has been called. */
  after(delayMs: number, run: () => void): () => void;
}

/** The clock of the operating system. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or as soon as `signal` aborts. Never rejects: the caller checks the signal. */
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
