/*
 * A declared limit: its name, its value and the metric that counts what it refuses.
 */

/** What the value of a limit counts; `interval` is a period and not a limit. */
export type LimitUnit = 'count' | 'bytes' | 'ms' | 'interval';

/** Counts {@link Limit.reached} of every limit without a separate counter, by the name of the limit. */
export const LIMIT_REACHED = 'sallyport_agent_limit_reached_total';

/** One limit of the agent. Declared once, in `agent-limits.ts`; code reads `value` when its module is loaded. */
export class Limit {
  /** Label of the metric, and the row of the reference page. */
  readonly name: string;
  readonly unit: LimitUnit;
  /** The default where the limit can be set; bytes, milliseconds or a number of things. */
  readonly value: number;
  /** The metric that counts what was beyond the limit; empty: nothing is lost, so nothing is counted. */
  readonly metric: string;
  /** How often it was reached in this process. */
  reached = 0;

  constructor(name: string, unit: LimitUnit, value: number, metric: string) {
    this.name = name;
    this.unit = unit;
    this.value = value;
    this.metric = metric;
  }

  /** Counts that something was beyond the limit. */
  hit(): void {
    this.reached += 1;
  }
}

/** A limit on a number of things. */
export function count(name: string, value: number, metric: string = LIMIT_REACHED): Limit {
  return new Limit(name, 'count', value, metric);
}

/** A limit on memory. */
export function bytes(name: string, value: number, metric: string = LIMIT_REACHED): Limit {
  return new Limit(name, 'bytes', value, metric);
}

/** A deadline. */
export function deadline(name: string, ms: number, metric: string = LIMIT_REACHED): Limit {
  return new Limit(name, 'ms', ms, metric);
}

/** The period of a timer that limits nothing. */
export function interval(name: string, ms: number): Limit {
  return new Limit(name, 'interval', ms, '');
}
