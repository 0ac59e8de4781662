/*
 * How long a proof may take. Time is a parameter: the caller passes the clock.
 */

/** The search did not end within its budget. */
export class OutOfTime extends Error {
  override readonly name: string = 'OutOfTime';
}

/** What a search may spend. */
export interface Budget {
  /** Counts work. @throws OutOfTime when the time is over */
  spend(steps: number): void;
}

/** Work between two looks at the clock. */
const STEPS_PER_LOOK = 20_000;

/** A budget that ends when `isOver` says so. */
export function createBudget(isOver: () => boolean): Budget {
  let left = 0;
  return {
    spend(steps) {
      left -= steps;
      if (left > 0) return;
      left = STEPS_PER_LOOK;
      if (isOver()) throw new OutOfTime('the time limit is reached');
    },
  };
}
