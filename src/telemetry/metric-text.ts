/*
 * Metrics in the Prometheus text format, version 0.0.4, for the agent: a client library would cost a third of its memory.
 * The controller uses prom-client.
 */

/** One sample line: suffix of the metric name (`''`, `_bucket`, `_sum`, `_count`), labels, value. */
export interface Sample {
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric whose samples are read at each scrape. */
export interface Metric {
  readonly name: string;
  /** HELP text: one line, without escapes. */
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** The current samples; may be empty. */
  readonly read: () => readonly Sample[];
}

/** Content-Type of the text format. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All metrics in the text format, in the given order. */
export function renderMetrics(metrics: readonly Metric[]): string {
  let text = '';
  for (const { name, help, type, read } of metrics) {
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const { suffix = '', labels, value } of read()) text += `${name}${suffix}${renderLabels(labels)} ${renderValue(value)}\n`;
  }
  return text;
}

function renderLabels(labels: Sample['labels']): string {
  if (labels === undefined) return '';
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`)
    .join(',')}}`;
}

function renderValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

/** A counter or gauge without labels. */
export interface Tally extends Metric {
  /** @param amount negative only for a gauge */
  add(amount: number): void;
}

/** A counter or gauge without labels that starts at 0. */
export function createTally(type: 'counter' | 'gauge', name: string, help: string): Tally {
  let value = 0;
  return {
    name,
    help,
    type,
    read: () => [{ value }],
    add: (amount) => {
      value += amount;
    },
  };
}

/** A histogram without labels. */
export interface Distribution extends Metric {
  /** Counts one value, in the unit of the bounds. */
  observe(value: number): void;
}

/**
 * A histogram; an observation costs a short search and two additions.
 *
 * @param bounds upper bounds, inclusive and ascending, without infinity
 */
export function createDistribution(name: string, help: string, bounds: readonly number[]): Distribution {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    name,
    help,
    type: 'histogram',
    observe: (value) => {
      let at = 0;
      while (at < bounds.length && value > (bounds[at] ?? 0)) at += 1;
      counts[at] = (counts[at] ?? 0) + 1;
      sum += value;
    },
    read: () => {
      let total = 0;
      const buckets = [...bounds.map(String), '+Inf'].map((le, at) => {
        total += counts[at] ?? 0;
        return { suffix: '_bucket', labels: { le }, value: total };
      });
      return [...buckets, { suffix: '_sum', value: sum }, { suffix: '_count', value: total }];
    },
  };
}
