/*
 * Timers with a declared period or deadline. Nothing that is done for every request may use one: deadlines of connections are
 * numbers that one sweeper compares.
 */
import type { Clock } from '../clock.ts';
import type { Limit } from './limit.ts';

/** Node.js fires a timer with a longer delay immediately. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** How a deadline differs from the declared one. */
export interface DeadlineOptions {
  /** Replaces the limit's default. */
  readonly ms?: number;
  /** Absent: that of the system. */
  readonly clock?: Clock;
}

/** Calls `run` when the deadline passes, which is counted. @returns cancels it */
export function startDeadline(limit: Limit, run: () => void, { ms = limit.value, clock }: DeadlineOptions = {}): () => void {
  const delay = Math.min(ms, LONGEST_DELAY);
  const expire = (): void => {
    limit.hit();
    run();
  };
  if (clock !== undefined) return clock.after(delay, expire);
  const timer = setTimeout(expire, delay);
  return () => clearTimeout(timer);
}

/** Calls `run` once after the period. It does not keep the process alive. @returns cancels it */
export function startTimer(period: Limit, run: () => void): () => void {
  const timer = setTimeout(run, period.value).unref();
  return () => clearTimeout(timer);
}

/** Calls `run` after every period until the returned function is called. */
export function startInterval(period: Limit, run: () => void): () => void {
  const timer = setInterval(run, period.value);
  return () => clearInterval(timer);
}

/** Calls `run` after the input and output that is ready now. The caller bounds how many functions wait. */
export function nextTurn(run: () => void): void {
  setImmediate(run);
}

/** Resolves after the period. */
export function pause(period: Limit): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, period.value);
  });
}

/** Resolves after `ms`, at most the value of `longest`, or when `signal` aborts. */
export function pauseFor(longest: Limit, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(ms, longest.value));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
