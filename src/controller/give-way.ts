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
