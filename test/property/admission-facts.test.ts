/* The copy of the facts in the thread of admission, after any order of changes, against the caches that it is a copy of. */
import { expect } from 'chai';
import fc from 'fast-check';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../src/api/istio/resources.ts';
import { objectKey, type PolicyKey, policyKey, type WorkloadKey, workloadKey } from '../../src/api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { createBudgets, NAMESPACE_SHARE } from '../../src/compile/budgets.ts';
import { createAdmissionFacts } from '../../src/controller/admission-facts.ts';
import type { MeshSource, Replica } from '../../src/controller/replica.ts';
import { createClusterState } from '../../src/state/cluster-state.ts';
import { ChangedFacts } from '../../src/webhook/fact-source.ts';
import { KnownFacts } from '../../src/webhook/known-facts.ts';

const AP = 'AuthorizationPolicy';
const NAMESPACES = ['istio-system', 'foo', 'bar'] as const;
const LABELS = [{}, { app: 'a' }, { app: 'b', tier: 'x' }] as const;
/** Values of a policy: with the last, two of them exceed the budget of a namespace. */
const SIZES = [1, 2000, 81_000] as const;
const LARGE = 2;

type Step =
  | { readonly kind: 'policy'; readonly namespace: string; readonly name: string; readonly selects: number; readonly size: number }
  | { readonly kind: 'remove'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'namespace'; readonly name: string; readonly label: string }
  | { readonly kind: 'forget'; readonly name: string }
  | { readonly kind: 'root'; readonly name: string }
  | { readonly kind: 'anchor'; readonly anchor: string }
  | { readonly kind: 'number'; readonly name: string; readonly number: number }
  | { readonly kind: 'send' };

const namespace = fc.constantFrom(...NAMESPACES);
const name = fc.constantFrom('p', 'q');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('policy' as const),
      namespace,
      name,
      selects: fc.nat(2),
      size: fc.constantFrom(0, 0, 1, 1, 2),
    }),
    weight: 2,
  },
  fc.record({ kind: fc.constant('remove' as const), namespace, name }),
  fc.record({ kind: fc.constant('namespace' as const), name: namespace, label: fc.constantFrom('enabled', 'disabled') }),
  fc.record({ kind: fc.constant('forget' as const), name: namespace }),
  fc.record({ kind: fc.constant('root' as const), name: namespace }),
  fc.record({ kind: fc.constant('anchor' as const), anchor: fc.constantFrom('', 'one', 'two') }),
  fc.record({ kind: fc.constant('number' as const), name: fc.constantFrom('a', 'b'), number: fc.nat(3) }),
  { arbitrary: fc.record({ kind: fc.constant('send' as const) }), weight: 2 },
);

function policyOf(from: { readonly namespace: string; readonly name: string; readonly selects: number; readonly size: number }): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: AP,
    metadata: { namespace: from.namespace, name: from.name, uid: 'u', generation: 1 },
    spec: {
      selector: { matchLabels: LABELS[from.selects] },
      rules: [{ to: [{ operation: { paths: Array.from({ length: SIZES[from.size] ?? 1 }, (_, at) => `/p${at}`) } }] }],
    },
  };
}

function createCaches(): {
  readonly step: (one: Step) => void;
  readonly replica: Replica;
  readonly mesh: MeshSource;
  readonly anchor: () => string;
} {
  let mesh = DEFAULT_MESH_CONFIG;
  let anchor = '';
  const numbers = new Map<WorkloadKey, number>();
  const listeners = { mesh: new Set<() => void>(), keys: new Set<() => void>(), numbers: new Set<(key: WorkloadKey) => void>() };
  const subscribeTo =
    <T>(set: Set<T>) =>
    (listener: T): (() => void) => {
      set.add(listener);
      return () => set.delete(listener);
    };
  const clusterState = createClusterState(() => mesh, { budgets: createBudgets(() => mesh) });
  const recordOf = (key: WorkloadKey): object => ({ key, published: { current: { number: numbers.get(key) ?? 0 } } });
  const replica = {
    clusterState,
    keyRing: { signer: () => (anchor === '' ? undefined : { anchor }), subscribe: subscribeTo(listeners.keys) },
    delivery: { subscribeNumbers: subscribeTo(listeners.numbers) },
    ledger: { get: recordOf, records: () => [...numbers.keys()].map(recordOf) },
  } as unknown as Replica;
  const take = (one: Step): void => {
    switch (one.kind) {
      case 'policy':
        clusterState.upsertPolicy(policyOf(one));
        break;
      case 'remove':
        clusterState.removePolicy(policyKey(AP, one.namespace, one.name) as PolicyKey);
        break;
      case 'namespace':
        clusterState.namespaces.upsert({ name: one.name, labels: { injection: one.label }, terminating: false });
        break;
      case 'forget':
        clusterState.namespaces.remove(objectKey('', one.name));
        break;
      case 'root':
        mesh = { ...mesh, rootNamespace: one.name };
        // As in a replica, versions are decided again by one of the listeners.
        for (const listener of listeners.mesh) listener();
        clusterState.decideVersions();
        break;
      case 'anchor':
        ({ anchor } = one);
        for (const listener of listeners.keys) listener();
        break;
      case 'number': {
        const key = workloadKey({ namespace: 'foo', kind: 'pod', name: one.name });
        numbers.set(key, one.number);
        for (const listener of listeners.numbers) listener(key);
        break;
      }
      case 'send':
    }
  };
  return { step: take, replica, mesh: { current: () => mesh, subscribe: subscribeTo(listeners.mesh) }, anchor: () => anchor };
}

/** A copy that has everything, and what brings it up to date. */
function copyOf(replica: Replica, mesh: MeshSource): { readonly known: KnownFacts; readonly send: () => void } {
  const source = createAdmissionFacts(replica, mesh);
  const [changed, known] = [new ChangedFacts(source), new KnownFacts()];
  const send = (): void => known.apply(structuredClone(changed.take() ?? {}));
  for (const fact of source.all()) changed.add(fact);
  source.subscribe((fact) => changed.add(fact));
  send();
  return { known, send };
}

function parsed(raw: object): Policy {
  const { value } = parsePolicy(raw as Parameters<typeof parsePolicy>[0]);
  if (value === undefined) throw new Error('the policy of the test is not valid');
  return value;
}

describe('the facts of admission', () => {
  it('contain what the policies of a namespace take, from the start and after each change', () => {
    const { step: take, replica, mesh } = createCaches();
    const small = parsed(policyOf({ namespace: 'foo', name: 'small', selects: 0, size: 0 }));
    for (const each of ['p', 'q']) take({ kind: 'policy', namespace: 'foo', name: each, selects: 0, size: LARGE });
    const { known, send } = copyOf(replica, mesh);
    expect(known.suffice(small)).to.equal(false);

    take({ kind: 'remove', namespace: 'foo', name: 'p' });
    send();
    expect(known.suffice(small)).to.equal(true);
    take({ kind: 'policy', namespace: 'foo', name: 'p', selects: 0, size: LARGE });
    send();
    expect(known.suffice(small)).to.equal(false);
    for (const each of ['p', 'q']) take({ kind: 'remove', namespace: 'foo', name: each });
    send();
    expect(known.suffice(small)).to.equal(true);
  });

  it('are those of the caches after any order of changes, and suffice only where the caches object to nothing', function () {
    this.timeout(120_000);
    const seen = { sufficient: 0, insufficient: 0, root: 0 };
    const check = (steps: readonly Step[], before: number): void => {
      const { step: take, replica, mesh, anchor } = createCaches();
      const { clusterState } = replica;
      for (const one of steps.slice(0, before)) take(one);
      const { known, send } = copyOf(replica, mesh);
      for (const one of steps.slice(before)) {
        if (one.kind === 'send') send();
        else take(one);
      }
      send();

      const { rootNamespace } = mesh.current();
      for (const of of NAMESPACES) {
        for (const [at, labels] of LABELS.entries()) {
          const workload = { namespace: of, kind: 'pod', name: at === 0 ? 'a' : 'b' } as const;
          const facts = known.ofPod(workload, labels);
          const expected = [...clusterState.selection.policiesFor(of, labels).values()]
            .filter(({ metadata }) => metadata.namespace === rootNamespace)
            .map(({ metadata }) => objectKey(metadata.namespace, metadata.name));
          expect([...facts.rootPolicies].sort()).to.deep.equal(expected.sort());
          expect(facts.namespaceLabels).to.deep.equal(clusterState.namespaces.get(objectKey('', of))?.labels);
          const floor = replica.ledger.get(workloadKey(workload))?.published?.current?.number ?? 0;
          expect(facts.trust).to.deep.equal(anchor() === '' ? undefined : { anchor: anchor(), floor });
          seen.root += expected.length;
        }
        for (const size of SIZES.keys()) {
          const policy = parsed(policyOf({ namespace: of, name: 'p', selects: 0, size }));
          const isSufficient = known.suffice(policy);
          seen[isSufficient ? 'sufficient' : 'insufficient'] += 1;
          if (isSufficient) expect(clusterState.whyOverBudget(policy)).to.equal(undefined);
          // What is small is asked about only where the namespace is nearly full.
          else if (size < LARGE)
            expect(clusterState.policyLoadOf(of).values + (SIZES[size] ?? 0)).to.be.greaterThan(NAMESPACE_SHARE.values);
        }
      }
    };
    fc.assert(fc.property(fc.array(step, { minLength: 10, maxLength: 30 }), fc.nat(10), check), { numRuns: 25 });
    expect(
      Object.values(seen).every((count) => count > 20),
      JSON.stringify(seen),
    ).to.equal(true);
  });
});
