/*
 * Time, handed in. In: nothing. Out: a `Clock` that everything in this room waits and measures with, so that tests own
 * the time; and `sleep` on top of it. Called by the client, the reflector, the lease, the recorder and their owners.
 */

/** Where time comes from. Durations are measured with {@link Clock.nowMs}, dates written with {@link Clock.wallMs}. */
export interface Clock {
  /** Milliseconds from an arbitrary start that only move forward; a change of the machine's date does not show. */
  nowMs(): number;
  /** Milliseconds since 1970 as the machine believes; may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`; the returned function cancels it (harmless when it already ran). */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or at once when `signal` aborts: the caller looks at the signal, nothing is thrown. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** A date in the form of Kubernetes' MicroTime, e.g. `2026-11-23T21:33:00.120000Z`; the last three digits are always zero. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}

/** A date in the form of Kubernetes' Time (seconds), e.g. `2026-11-23T21:33:00Z`. */
export function kubeTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
