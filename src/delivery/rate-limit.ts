/*
 * Bounds how often something is done for one key.
 */
import type { Clock } from '../clock.ts';

/** Does something now, or at the end of the period when it was done in it already. */
export type RateLimited<T> = (key: string, value: T) => void;

/** Calls `action` at most once per period for each key; a call within a period takes effect at its end. */
export function rateLimited<T>(clock: Clock, periodMs: number, action: (value: T) => void): RateLimited<T> {
  const states = new Map<string, 'done' | 'again'>();
  const call: RateLimited<T> = (key, value) => {
    if (states.has(key)) {
      states.set(key, 'again');
      return;
    }
    states.set(key, 'done');
    action(value);
    clock.after(periodMs, () => {
      const state = states.get(key);
      states.delete(key);
      if (state === 'again') call(key, value);
    });
  };
  return call;
}
