/*
 * Runs the steps that a scheduler of fast-check holds until nothing is in progress, for code that goes on by itself between them.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type fc from 'fast-check';

/** Turns of the event loop without a scheduled step, after which nothing is in progress. */
const IDLE_TURNS = 20;

/** @param isBusy something is in progress that schedules no step yet, such as a timer; absent: nothing of the kind */
export async function untilIdle(scheduler: fc.Scheduler, isBusy: () => boolean = () => false): Promise<void> {
  for (let idle = 0; idle < IDLE_TURNS; idle += 1) {
    while (scheduler.count() > 0) {
      await scheduler.waitOne();
      idle = 0;
    }
    if (isBusy()) idle = 0;
    await nextTurn();
  }
}
