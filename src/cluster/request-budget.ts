/*
 * Limits requests per second and decides who goes first: when requests wait, each lane gets permits in proportion to its weight, so that
 * bundles are published while thousands of annotations wait, and nothing waits forever. While only one lane waits, its permits come in groups:
 * a request that comes alone, a few milliseconds after the one before, takes twice the CPU time of one in a row of others.
 */
import type { Clock } from '../clock.ts';

/**
 * What a request is for. `publish`: bundles and what agents need with them; `default`: reads and everything else; `status`: statuses of
 * policies; `touch`: annotations of pods; `report`: reports of findings.
 */
export type Lane = 'publish' | 'default' | 'status' | 'touch' | 'report';

/** Size and refill rate of the budget. */
export interface RequestBudgetOptions {
  /** Sustained permits per second; greater than 0. */
  readonly perSecond: number;
  /** Permits that an idle budget grants immediately; at least 1. */
  readonly burst: number;
  readonly clock: Clock;
}

/** A limiter that several lanes share. */
export interface RequestBudget {
  /** Waits for a permit; first come, first served within a lane. @throws the reason of the signal if it aborts first; no permit is used then */
  take(lane: Lane, signal: AbortSignal): Promise<void>;
}

/** Permits of a lane for each permit of the lightest one, while both wait. */
const WEIGHTS: Readonly<Record<Lane, number>> = { publish: 16, default: 8, touch: 3, status: 1, report: 1 };
const LANES = Object.keys(WEIGHTS) as readonly Lane[];

/** Time for which permits of a lane that waits alone are collected, in milliseconds. */
const GROUP_MS = 100;

interface Waiting {
  /** In order of arrival. */
  readonly waiters: Set<() => void>;
  /** Grows with each permit, the slower the heavier the lane: the lane with the smallest value is next. */
  pass: number;
}

/** A budget whose bucket is full. */
export function createRequestBudget(options: RequestBudgetOptions): RequestBudget {
  const budget = new Budget(options);
  return { take: (lane, signal) => budget.take(lane, signal) };
}

class Budget {
  readonly #options: RequestBudgetOptions;
  readonly #lanes: Readonly<Record<Lane, Waiting>>;
  #tokens: number;
  #filledAtMs: number;
  #cancelTimer: (() => void) | undefined;
  /** Permits that the timer waits for. */
  #awaited = 0;

  constructor(options: RequestBudgetOptions) {
    this.#options = options;
    this.#lanes = { publish: emptyLane(), default: emptyLane(), touch: emptyLane(), status: emptyLane(), report: emptyLane() };
    this.#tokens = options.burst;
    this.#filledAtMs = options.clock.nowMs();
  }

  async take(lane: Lane, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#refill();
    if (this.#hasToken() && this.#next() === undefined) {
      this.#tokens -= 1;
      return;
    }
    await this.#wait(this.#lanes[lane], signal);
    signal.throwIfAborted();
  }

  #wait(waiting: Waiting, signal: AbortSignal): Promise<void> {
    // A lane that was idle has no claim to what others used meanwhile.
    if (waiting.waiters.size === 0) waiting.pass = Math.max(waiting.pass, this.#smallestPass());
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        waiting.waiters.delete(done);
        if (this.#next() === undefined) this.#stopTimer();
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
      waiting.waiters.add(done);
      this.#schedule();
    });
  }

  #grant(): void {
    this.#refill();
    for (let lane = this.#next(); lane !== undefined && this.#hasToken(); lane = this.#next()) {
      const waiting = this.#lanes[lane];
      for (const first of waiting.waiters) {
        waiting.waiters.delete(first);
        waiting.pass += 1 / WEIGHTS[lane];
        this.#tokens -= 1;
        first();
        break;
      }
    }
    if (this.#next() !== undefined) this.#schedule();
  }

  #schedule(): void {
    const awaited = this.#groupSize();
    if (this.#cancelTimer !== undefined && this.#awaited <= awaited) return;
    this.#stopTimer();
    this.#awaited = awaited;
    this.#refill();
    const delayMs = Math.max(0, ((awaited - this.#tokens) / this.#options.perSecond) * 1000);
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#grant();
    });
  }

  /** Where lanes compete, one at a time, by their weights. */
  #groupSize(): number {
    const { burst, perSecond } = this.#options;
    const waiting = LANES.filter((lane) => this.#lanes[lane].waiters.size > 0);
    return waiting.length > 1 ? 1 : Math.max(1, Math.min(burst, Math.floor((perSecond * GROUP_MS) / 1000)));
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** The lane that gets the next permit; undefined: no request waits. */
  #next(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of LANES) {
      if (this.#lanes[lane].waiters.size > 0 && (best === undefined || this.#lanes[lane].pass < this.#lanes[best].pass)) best = lane;
    }
    return best;
  }

  #smallestPass(): number {
    const next = this.#next();
    return next === undefined ? 0 : this.#lanes[next].pass;
  }

  /** Rounding must not leave a timer that grants nothing. */
  #hasToken(): boolean {
    return this.#tokens > 1 - 1e-6;
  }

  #refill(): void {
    const { burst, perSecond, clock } = this.#options;
    const nowMs = clock.nowMs();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#filledAtMs) / 1000) * perSecond);
    this.#filledAtMs = nowMs;
  }
}

function emptyLane(): Waiting {
  return { waiters: new Set(), pass: 0 };
}
