/*
 * Work in steps: a generator that yields wherever its caller may do something else, so that a process that serves requests can
 * spread long work over many turns of the event loop.
 */

/** Work that yields between its steps and returns its result. */
export type Steps<Result> = Generator<void, Result>;

/** Does all steps without a pause. */
export function doSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Does the steps, each after `pause`. @throws what a step throws */
export async function doStepsApart<Result>(steps: Steps<Result>, pause: (resume: () => void) => void): Promise<Result> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise<void>(pause);
  }
}
