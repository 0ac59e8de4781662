/*
 * Time that the test owns. In: `advance`. Out: the timers that are due, in order. Also `until`, to wait for what real
 * sockets do in between.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';

export interface FakeClock extends Clock {
  /** Moves on and runs what is due on the way. */
  advance(ms: number): void;
  /** Delays of the timers that wait, shortest first, counted from now. */
  pending(): readonly number[];
}

/** Starts at 0 (durations) and 2026-01-01 (dates). A timer of 0 ms runs by itself. */
export function createFakeClock(): FakeClock {
  const startWallMs = Date.UTC(2026, 0, 1);
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const fire = (timer: { readonly run: () => void }): void => {
    if (!timers.includes(timer as (typeof timers)[number])) return;
    timers = timers.filter((other) => other !== timer);
    timer.run();
  };
  return {
    nowMs: () => nowMs,
    wallMs: () => startWallMs + nowMs,
    after: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      if (delayMs <= 0) setImmediate(fire, timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance: (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        const due = timers.filter((timer) => timer.atMs <= untilMs).sort((left, right) => left.atMs - right.atMs)[0];
        if (due === undefined) break;
        nowMs = Math.max(nowMs, due.atMs);
        fire(due);
      }
      nowMs = untilMs;
    },
    pending: () => timers.map((timer) => timer.atMs - nowMs).sort((left, right) => left - right),
  };
}

/** Waits, on the machine's own clock, until the condition holds. @throws after `limitMs` (4 000 when absent) */
export async function until(condition: () => boolean | Promise<boolean>, what: string, limitMs = 4_000): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`in vain waited for: ${what}`);
    await delay(5);
  }
}
