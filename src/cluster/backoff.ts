/*
 * Delays between retries with full jitter, so that replicas that lost the same API server do not reconnect at the same time.
 */

/** Delays that grow with every failure. */
export interface Backoff {
  /**
   * Records a failure and returns the next delay in milliseconds, at least `atLeastMs` (from Retry-After; absent: 0).
   *
   * @param capMs upper bound of this delay, if lower than that of all
   */
  next(atLeastMs?: number, capMs?: number): number;
  /** Starts again with the first delay. */
  reset(): void;
  /** Number of failures since the last reset. */
  failures(): number;
}

/** Bounds of the delays. */
export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every delay, in milliseconds. */
  readonly capMs: number;
  /** Random number, uniform in [0, 1). */
  readonly random: () => number;
}

/** Exponential backoff with full jitter: uniform between 0 and `min(capMs, baseMs * 2^failures)`. */
export function createBackoff(options: BackoffOptions): Backoff {
  let failures = 0;
  return {
    next: (atLeastMs = 0, capMs = options.capMs) => {
      const ceiling = Math.min(capMs, options.capMs, options.baseMs * 2 ** Math.min(failures, 30));
      failures += 1;
      return Math.max(atLeastMs, options.random() * ceiling);
    },
    reset: () => {
      failures = 0;
    },
    failures: () => failures,
  };
}
