/*
 * The copy of what the caches of the controller know, in the thread of admission: reviews that need nothing else do not wait for the controller.
 */
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, type WorkloadKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { type MeshConfig, trustDomainsOf } from '../api/mesh-config.ts';
import { createBudgets } from '../compile/budgets.ts';
import { InvariantError } from '../errors.ts';
import { namesPorts } from '../lint/unserved-ports.ts';
import { isInScope, type SelectingPolicy, selectsPod } from '../resolve/policy-applies.ts';
import { isWithinBudget, NO_SIZE, type PolicySize, sumOf } from '../resolve/policy-load.ts';
import type { PodFacts } from './admission-messages.ts';
import type { FactSettings, FactUpdate } from './fact-source.ts';

/** JSON of the largest policy that is measured here, in characters. Measuring takes several times the memory of the policy. */
const MAX_MEASURED = 64 * 1024;

/** What is known. */
export class KnownFacts {
  #settings: FactSettings | undefined;
  #rootPolicies: readonly SelectingPolicy[] = [];
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();
  readonly #loads = new Map<string, PolicySize>();
  readonly #numbers = new Map<WorkloadKey, number>();

  /** False until the first update, which contains everything. */
  get isLoaded(): boolean {
    return this.#settings !== undefined;
  }

  /** @throws InvariantError before the first update */
  get mesh(): MeshConfig {
    return this.#present.mesh;
  }

  get #present(): FactSettings {
    if (this.#settings === undefined) throw new InvariantError('facts are read before they are known');
    return this.#settings;
  }

  apply({ settings, rootPolicies, labels, loads, numbers }: FactUpdate): void {
    this.#settings = settings ?? this.#settings;
    this.#rootPolicies = rootPolicies ?? this.#rootPolicies;
    for (const [namespace, present] of labels ?? []) setOrDelete(this.#labels, namespace, present);
    for (const [namespace, load] of loads ?? []) setOrDelete(this.#loads, namespace, isNothing(load) ? undefined : load);
    for (const [workload, number] of numbers ?? []) setOrDelete(this.#numbers, workload, number === 0 ? undefined : number);
  }

  /** What a review of a new pod needs. @throws InvariantError before the first update */
  ofPod(workload: WorkloadRef, labels: Readonly<Record<string, string>>): PodFacts {
    const { mesh, anchor, feed } = this.#present;
    const namespaceLabels = this.#labels.get(workload.namespace);
    return {
      trustDomains: trustDomainsOf(mesh),
      rootPolicies: this.#rootPolicies
        .filter((policy) => isInScope(policy, workload.namespace, mesh.rootNamespace) && selectsPod(policy, workload.namespace, labels))
        .map(({ metadata }) => objectKey(metadata.namespace, metadata.name)),
      ...(feed === undefined ? {} : { feed }),
      ...(anchor === undefined ? {} : { trust: { anchor, floor: this.#numbers.get(workloadKey(workload)) ?? 0 } }),
      ...(namespaceLabels === undefined ? {} : { namespaceLabels }),
    };
  }

  /**
   * Whether a review of the policy needs nothing else: it names no ports, which depend on the pods that it selects, and is within its budget
   * whatever it replaces and whatever selects what.
   */
  suffice(policy: Policy): boolean {
    if (namesPorts(policy) || JSON.stringify(policy.spec).length > MAX_MEASURED) return false;
    const { namespace } = policy.metadata;
    const budgets = createBudgets(() => this.mesh);
    const size = budgets.sizeOf(policy);
    return isWithinBudget({ namespace, size, total: sumOf(this.#loads.get(namespace) ?? NO_SIZE, size) }, budgets);
  }
}

function isNothing({ bytes, packedBytes, rules, values }: PolicySize): boolean {
  return bytes + packedBytes + rules + values === 0;
}

function setOrDelete<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
