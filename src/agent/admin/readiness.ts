/*
 * The readiness of an agent, for probes that can wait. A kubelet reports a failed probe as an event of the pod, and probes again after a
 * period; a probe that waits for the first policy does neither.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { startDeadline } from '../../limits/timers.ts';

/** What holds the active policy. */
export interface PolicyHolder {
  /** Undefined: none is active. */
  readonly current: unknown;
  /** Calls the function once a policy is active. @returns cancels it; undefined: too many wait already */
  onceActive(run: () => void): (() => void) | undefined;
}

const WAIT = /[?&]wait=(\d{1,3}(?:\.\d{1,3})?)(?:&|$)/;

/** How long a request for `target` wants to wait, in milliseconds; 0: not at all. */
export function readinessWaitMs(target: string): number {
  const seconds = WAIT.exec(target)?.[1];
  return seconds === undefined ? 0 : Math.min(Number(seconds) * 1000, LIMITS.readinessWait.value);
}

/** Whether a policy is active: as soon as one is, and after `waitMs` milliseconds at the latest. */
export function isReadyWithin(holder: PolicyHolder, waitMs: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    if (holder.current !== undefined || waitMs === 0) return resolve(holder.current !== undefined);
    const cancel = holder.onceActive(() => {
      stopTimer();
      resolve(true);
    });
    const stopTimer = startDeadline(
      LIMITS.readinessWait,
      () => {
        cancel?.();
        resolve(holder.current !== undefined);
      },
      { ms: cancel === undefined ? 0 : waitMs, clock },
    );
  });
}
