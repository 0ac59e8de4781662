/* Facts for admission that a test changes. */
import type { WorkloadKey } from '../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import type { SelectingPolicy } from '../../src/resolve/policy-applies.ts';
import { NO_SIZE, type PolicySize } from '../../src/resolve/policy-load.ts';
import type { ChangedFact, FactSettings, FactSource } from '../../src/webhook/fact-source.ts';
import { TRUST } from './guarded-pods.ts';

/** Values of the facts; what `changed` is not called for is sent only with everything. */
export interface TestFacts extends FactSource {
  present: FactSettings;
  root: readonly SelectingPolicy[];
  readonly labels: Map<string, Readonly<Record<string, string>>>;
  readonly loads: Map<string, PolicySize>;
  readonly numbers: Map<WorkloadKey, number>;
  readonly changed: (fact: ChangedFact) => void;
  readonly listeners: () => number;
}

/** Facts of a cluster without policies, whose signing keys are those of {@link TRUST}. */
export function createTestFacts(): TestFacts {
  const listeners = new Set<(changed: ChangedFact) => void>();
  const facts: TestFacts = {
    present: { mesh: DEFAULT_MESH_CONFIG, anchor: TRUST.anchor },
    root: [],
    labels: new Map(),
    loads: new Map(),
    numbers: new Map(),
    changed: (fact) => {
      for (const listener of listeners) listener(fact);
    },
    listeners: () => listeners.size,
    settings: () => facts.present,
    rootPolicies: () => facts.root,
    labelsOf: (namespace) => facts.labels.get(namespace),
    loadOf: (namespace) => facts.loads.get(namespace) ?? NO_SIZE,
    numberOf: (workload) => facts.numbers.get(workload) ?? 0,
    all: function* () {
      yield* [{ kind: 'settings' }, { kind: 'rootPolicies' }] as const;
      for (const namespace of facts.labels.keys()) yield { kind: 'namespace', namespace };
      for (const namespace of facts.loads.keys()) yield { kind: 'load', namespace };
      for (const workload of facts.numbers.keys()) yield { kind: 'number', workload: workload };
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return facts;
}
