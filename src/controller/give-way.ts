/*
 * Lets more urgent work of the same process, and of the same API server, go first.
 */
import { type Clock, sleep } from '../clock.ts';

/** What goes first, and how long at most. */
export interface GiveWayOptions {
  /** Keys of the more urgent work that wait. */
  readonly ahead: () => number;
  readonly clock: Clock;
  /** Longest wait in milliseconds: urgent work that never ends must not keep the other from being done. */
  readonly atMostMs: number;
}

/** A few keys are soon done. */
const MANY = 8;
const LOOK_MS = 50;

/** Resolves when little of the more urgent work waits, when the time is over, or when `signal` aborts. */
export async function giveWay({ ahead, clock, atMostMs }: GiveWayOptions, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < atMostMs && ahead() > MANY && !signal.aborted; waitedMs += LOOK_MS) await sleep(clock, LOOK_MS, signal);
}

/** The same for many callers: from when the urgent work began, none of them waits longer than the time, however many wait in turn. */
export function givingWay(options: GiveWayOptions): (signal: AbortSignal) => Promise<void> {
  const { ahead, clock, atMostMs } = options;
  let busySinceMs: number | undefined;
  return async (signal) => {
    if (ahead() > MANY) {
      busySinceMs ??= clock.nowMs();
      await giveWay({ ...options, atMostMs: busySinceMs + atMostMs - clock.nowMs() }, signal);
    }
    if (ahead() <= MANY) busySinceMs = undefined;
  };
}
