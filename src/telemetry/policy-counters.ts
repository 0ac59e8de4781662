/*
 * Counters by policy. Their labels come from the active bundle, never from a request, and the number of their series is limited.
 */
import type { Limit } from '../limits/limit.ts';
import type { Metric } from './metric-text.ts';

/** A rule of a policy. The same object for every request that it decides. */
export interface PolicyRule {
  readonly namespace: string;
  readonly name: string;
}

/** No policy matched. Names of policies contain a slash, so that they cannot be mistaken for this or for {@link OTHER}. */
const NONE = 'none';
/** Stands for every policy beyond the limit. */
const OTHER = 'other';

interface Series {
  readonly policy: string;
  readonly action: string;
  value: number;
  /** Number of the bundle that was active when it last counted. */
  bundle: number;
  /** It gave way to another one. */
  isDropped: boolean;
}

/** A counter with the labels `policy` and `action`. */
export interface PolicyCounters<Action extends string> extends Metric {
  /** @param rule undefined: no policy matched */
  readonly add: (rule: PolicyRule | undefined, action: Action) => void;
  /** Another bundle is active: series that no longer count give way to new ones when the limit is reached. */
  readonly onBundle: () => void;
}

/**
 * Counts by policy and action: at most `limit` series of policies, and for each action one for `none` and one for `other`.
 * @param actions every action
 */
export function createPolicyCounters<Action extends string>(
  { name, help }: Pick<Metric, 'name' | 'help'>,
  actions: readonly Action[],
  limit: Limit,
): PolicyCounters<Action> {
  const table = new SeriesTable(limit);
  const fixed = (policy: string): Readonly<Record<string, Series>> =>
    Object.fromEntries(actions.map((action) => [action, { policy, action, value: 0, bundle: 0, isDropped: false }]));
  const none = fixed(NONE);
  const other = fixed(OTHER);
  return {
    name,
    help,
    type: 'counter',
    read: () =>
      [...Object.values(none), ...table.series(), ...Object.values(other)]
        .filter(({ value }) => value > 0)
        .map(({ policy, action, value }) => ({ labels: { policy, action }, value })),
    add(rule, action) {
      const series = rule === undefined ? none[action] : (table.find(rule, action) ?? other[action]);
      if (series !== undefined) series.value += 1;
    },
    onBundle: () => table.onBundle(),
  };
}

class SeriesTable {
  readonly #limit: Limit;
  readonly #byLabels = new Map<string, Series>();
  /** A request finds its series without building a label. */
  readonly #byRule = new WeakMap<PolicyRule, Series>();
  #bundle = 0;

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  series(): Iterable<Series> {
    return this.#byLabels.values();
  }

  onBundle(): void {
    this.#bundle += 1;
  }

  /** The series of a rule's policy; undefined: there are too many. */
  find(rule: PolicyRule, action: string): Series | undefined {
    const known = this.#byRule.get(rule);
    if (known !== undefined && !known.isDropped && known.action === action) {
      known.bundle = this.#bundle;
      return known;
    }
    const series = this.#findByLabels(`${rule.namespace}/${rule.name}`, action);
    if (series !== undefined) this.#byRule.set(rule, series);
    return series;
  }

  #findByLabels(policy: string, action: string): Series | undefined {
    const labels = `${policy} ${action}`;
    let series = this.#byLabels.get(labels);
    if (series === undefined) {
      if (this.#byLabels.size >= this.#limit.value && !this.#dropUnused()) {
        this.#limit.hit();
        return undefined;
      }
      series = { policy, action, value: 0, bundle: 0, isDropped: false };
      this.#byLabels.set(labels, series);
    }
    series.bundle = this.#bundle;
    return series;
  }

  /** Drops a series that has not counted under the active bundle. @returns false: all have */
  #dropUnused(): boolean {
    for (const [labels, series] of this.#byLabels) {
      if (series.bundle === this.#bundle) continue;
      series.isDropped = true;
      return this.#byLabels.delete(labels);
    }
    return false;
  }
}
