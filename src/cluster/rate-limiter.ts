/*
 * A token bucket. In: a steady rate, a burst and a clock. Out: permission, now or after a wait, in the order of asking.
 * The client limits requests per second with it, the recorder events.
 */
import { type Clock, sleep } from '../clock.ts';

export interface RateLimiterOptions {
  /** Permissions per second in the long run; more than 0. */
  readonly perSecond: number;
  /** Permissions that an idle limiter gives at once; at least 1. */
  readonly burst: number;
  readonly clock: Clock;
}

export interface RateLimiter {
  /** Waits for a permission; first come, first served. @throws the signal's reason when it aborts first (the permission goes back). */
  take(signal: AbortSignal): Promise<void>;
}

/** A bucket that starts full. */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { perSecond, burst, clock } = options;
  let tokens = burst;
  let filledAtMs = clock.nowMs();

  const refill = (): void => {
    const nowMs = clock.nowMs();
    tokens = Math.min(burst, tokens + ((nowMs - filledAtMs) / 1000) * perSecond);
    filledAtMs = nowMs;
  };

  return {
    take: async (signal) => {
      signal.throwIfAborted();
      refill();
      // Below zero the bucket holds reservations: each waiter owns a later moment than the one before it.
      tokens -= 1;
      if (tokens >= 0) return;
      await sleep(clock, (-tokens / perSecond) * 1000, signal);
      if (signal.aborted) {
        tokens += 1;
        signal.throwIfAborted();
      }
    },
  };
}
