/*
 * Logs which limits were reached, at most one line for each limit in a period.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { Limit } from '../../limits/limit.ts';
import type { Logger } from '../../telemetry/logger.ts';

const PERIOD_MS = LIMITS.limitLog.value;

interface Watched {
  readonly limit: Limit;
  logged: number;
}

/** Looks at all limits but deadlines, which are reached in ordinary operation. */
export class LimitLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #watched: readonly Watched[];
  #nextMs = 0;

  constructor(logger: Logger, clock: Clock, limits: readonly Limit[] = Object.values(LIMITS)) {
    this.#logger = logger;
    this.#clock = clock;
    this.#watched = limits
      .filter(({ unit, metric }) => (unit === 'count' || unit === 'bytes') && metric !== '')
      .map((limit) => ({ limit, logged: limit.reached }));
  }

  /** Logs limits that were reached since the last line. */
  check(): void {
    if (this.#clock.nowMs() < this.#nextMs) return;
    for (const watched of this.#watched) {
      const { limit, logged } = watched;
      if (limit.reached === logged) continue;
      watched.logged = limit.reached;
      this.#nextMs = this.#clock.nowMs() + PERIOD_MS;
      this.#logger.warn({ limit: limit.name, times: limit.reached - logged }, 'limit reached');
    }
  }
}
