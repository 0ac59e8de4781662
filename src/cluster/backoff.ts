/*
 * How long to wait after a failure. In: a clock's sense of "healthy for a minute" and a random source. Out: delays with
 * full jitter, so that replicas which lost the same API server do not come back in step. Used by the reflector.
 */

/** Delays that grow with every failure and start over after {@link Backoff.reset}. */
export interface Backoff {
  /** The next delay in milliseconds, never shorter than `atLeastMs` (what a Retry-After asked for; absent: 0). */
  next(atLeastMs?: number): number;
  reset(): void;
  /** Failures since the last reset. */
  failures(): number;
}

export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. */
  readonly baseMs: number;
  /** Upper bound of every delay, in milliseconds. */
  readonly capMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Exponential backoff with full jitter: uniform between 0 and `min(capMs, baseMs * 2^failures)`. */
export function createBackoff(options: BackoffOptions): Backoff {
  let failures = 0;
  return {
    next: (atLeastMs = 0) => {
      const ceiling = Math.min(options.capMs, options.baseMs * 2 ** Math.min(failures, 30));
      failures += 1;
      return Math.max(atLeastMs, options.random() * ceiling);
    },
    reset: () => {
      failures = 0;
    },
    failures: () => failures,
  };
}
