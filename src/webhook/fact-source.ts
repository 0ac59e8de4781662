/*
 * What the thread of admission keeps a copy of, as the caches of the controller have it, and what of it changed.
 */
import type { InjectedFeed } from '../api/kube/agent-contract.ts';
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { SelectingPolicy } from '../resolve/policy-applies.ts';
import type { PolicySize } from '../resolve/policy-load.ts';

/** Settings of all reviews. */
export interface FactSettings {
  readonly mesh: MeshConfig;
  /** Trust anchor of new agents, see `parseTrustAnchor`; absent: the signing keys are not known. */
  readonly anchor?: string;
  /** Where new agents find the feed; absent: they get none. */
  readonly feed?: InjectedFeed;
}

/** What changed. The value is read when it is sent: of several changes only the last counts. */
export type ChangedFact =
  | { readonly kind: 'settings' | 'rootPolicies' }
  /** Labels of a namespace, or what its policies take. */
  | { readonly kind: 'namespace' | 'load'; readonly namespace: string }
  /** Number of the published bundle. */
  | { readonly kind: 'number'; readonly workload: WorkloadKey };

/** The caches of the controller. No member waits. */
export interface FactSource {
  readonly settings: () => FactSettings;
  /** The policies of the root namespace that are enforced. */
  readonly rootPolicies: () => readonly SelectingPolicy[];
  /** Labels of a namespace; undefined: not known. */
  readonly labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** What the policies of a namespace take together, whatever selects what. */
  readonly loadOf: (namespace: string) => PolicySize;
  /** Number of the published bundle of a workload; 0: none. */
  readonly numberOf: (workload: WorkloadKey) => number;
  /** Every fact that there is. */
  readonly all: () => Iterable<ChangedFact>;
  /** Calls `listener` after each change. @returns a function that ends the subscription */
  readonly subscribe: (listener: (changed: ChangedFact) => void) => () => void;
}

/** New values, as they are sent. What is absent did not change. */
export interface FactUpdate {
  readonly settings?: FactSettings;
  readonly rootPolicies?: readonly SelectingPolicy[];
  readonly labels?: ReadonlyMap<string, Readonly<Record<string, string>> | undefined>;
  readonly loads?: ReadonlyMap<string, PolicySize>;
  readonly numbers?: ReadonlyMap<WorkloadKey, number>;
}

/** Collects what changed until it is sent. */
export class ChangedFacts {
  readonly #source: FactSource;
  #kinds = new Set<ChangedFact['kind']>();
  #labels = new Set<string>();
  #loads = new Set<string>();
  #numbers = new Set<WorkloadKey>();

  constructor(source: FactSource) {
    this.#source = source;
  }

  add(changed: ChangedFact): void {
    this.#kinds.add(changed.kind);
    if (changed.kind === 'number') this.#numbers.add(changed.workload);
    else if (changed.kind === 'namespace') this.#labels.add(changed.namespace);
    else if (changed.kind === 'load') this.#loads.add(changed.namespace);
  }

  /** The present values of what changed, which are then no longer to be sent; undefined: nothing changed. */
  take(): FactUpdate | undefined {
    if (this.#kinds.size === 0) return undefined;
    const source = this.#source;
    const valuesOf = <K, V>(kind: ChangedFact['kind'], keys: ReadonlySet<K>, read: (key: K) => V): ReadonlyMap<K, V> | undefined =>
      this.#kinds.has(kind) ? new Map([...keys].map((key) => [key, read(key)])) : undefined;
    const update = withoutAbsent({
      settings: this.#kinds.has('settings') ? source.settings() : undefined,
      rootPolicies: this.#kinds.has('rootPolicies') ? source.rootPolicies().map(selectionOf) : undefined,
      labels: valuesOf('namespace', this.#labels, source.labelsOf),
      loads: valuesOf('load', this.#loads, source.loadOf),
      numbers: valuesOf('number', this.#numbers, source.numberOf),
    });
    [this.#kinds, this.#labels, this.#loads, this.#numbers] = [new Set(), new Set(), new Set(), new Set()];
    return update;
  }
}

/** Without its rules, which no review of a pod reads. */
function selectionOf({ metadata: { namespace, name }, spec: { selector, targetRefs } }: SelectingPolicy): SelectingPolicy {
  return { metadata: { namespace, name }, spec: withoutAbsent({ selector, targetRefs }) };
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function withoutAbsent<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}
