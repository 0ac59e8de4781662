/*
 * Work in steps: a generator that yields wherever its caller may do something else, so that a process that serves requests can
 * spread long work over many turns of the event loop.
 */

/** Work that yields between its steps, each well below a millisecond, and returns its result. */
export type Steps<Result> = Generator<void, Result>;

/** Does all steps without a pause. */
export function doSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** When a process that does steps serves something else in between. */
export interface Turns {
  /** Calls its argument when everything else has had its turn. */
  readonly pause: (resume: () => void) => void;
  /** Milliseconds of work, rounded up to a whole step, after which it pauses. */
  readonly turnMs: number;
  /** Monotonic milliseconds; absent: those of the system. */
  readonly nowMs?: () => number;
}

const systemNowMs = (): number => performance.now();

/** Does the steps with pauses in between. @throws what a step throws */
export async function doStepsApart<Result>(steps: Steps<Result>, { pause, turnMs, nowMs = systemNowMs }: Turns): Promise<Result> {
  for (let startMs = nowMs(); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (nowMs() - startMs < turnMs) continue;
    await new Promise<void>(pause);
    startMs = nowMs();
  }
}
