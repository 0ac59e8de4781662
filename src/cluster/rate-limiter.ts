/*
 * A token bucket. The client limits requests per second with it, the recorder events.
 */
import { type Clock, sleep } from '../clock.ts';

/** Size and refill rate of the bucket. */
export interface RateLimiterOptions {
  /** Sustained permits per second; greater than 0. */
  readonly perSecond: number;
  /** Permits that an idle limiter grants immediately; at least 1. */
  readonly burst: number;
  readonly clock: Clock;
}

/** A first-come, first-served limiter. */
export interface RateLimiter {
  /** Waits for a permit. @throws the reason of the signal if it aborts first; the permit is returned to the bucket */
  take(signal: AbortSignal): Promise<void>;
}

/** A limiter whose bucket is full. */
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
      // A negative number of tokens means reservations: each waiter has a later time than the one before.
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
