/*
 * A clock that the test advances, which runs due timers in order. Also `until`, to wait for events of real sockets.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';

export interface FakeClock extends Clock {
  /** Advances the time and runs the timers that become due, in order. */
  advance(ms: number): void;
  /** Remaining delays of the pending timers, shortest first. */
  pending(): readonly number[];
}

/** A clock that starts at 0 (durations) and 2026-01-01 (dates). A timer of 0 ms runs without an advance. */
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

/** Waits in real time until the condition holds, however slow the machine is. @throws Error after `limitMs` (a minute when absent) */
export async function until(condition: () => boolean | Promise<boolean>, what: string, limitMs = 60_000): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`in vain waited for: ${what}`);
    await delay(5);
  }
}
