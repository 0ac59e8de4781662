/*
 * A histogram for the request path: observing costs a short search and two additions. In: values. Out: a metric that a
 * prom-client registry prints like its own. Used by the agent's metrics.
 */
import type { Registry } from 'prom-client';

type RegisteredMetric = Parameters<Registry['registerMetric']>[0];

export class ExactHistogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds upper bounds of the buckets, ascending, without infinity */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  /** What a registry takes: it reads no more than name and `get`. */
  asMetric(): RegisteredMetric {
    const metric = { name: this.#name, get: () => Promise.resolve(this.#snapshot()), reset: () => this.#reset() };
    return metric as unknown as RegisteredMetric;
  }

  #snapshot(): object {
    let total = 0;
    const values = [...this.#bounds.map(String), '+Inf'].map((le, at) => {
      total += this.#counts[at] ?? 0;
      return { metricName: `${this.#name}_bucket`, labels: { le }, value: total };
    });
    return {
      name: this.#name,
      help: this.#help,
      type: 'histogram',
      aggregator: 'sum',
      values: [
        ...values,
        { metricName: `${this.#name}_sum`, labels: {}, value: this.#sum },
        { metricName: `${this.#name}_count`, labels: {}, value: total },
      ],
    };
  }

  #reset(): void {
    this.#counts.fill(0);
    this.#sum = 0;
  }
}
