/*
 * What admission keeps a copy of, from the caches of this replica.
 */
import { objectKey, parseObjectKey } from '../api/kube/keys.ts';
import type { ChangedFact, FactSource } from '../webhook/fact-source.ts';
import type { MeshSource, Replica } from './replica.ts';

/** The facts of a replica, without the address of the feed. */
export function createAdmissionFacts(
  { clusterState, delivery, keyRing, ledger }: Pick<Replica, 'clusterState' | 'delivery' | 'keyRing' | 'ledger'>,
  mesh: MeshSource,
): FactSource {
  const { namespaces, policies, policyLoadOf } = clusterState;
  const numberOf: FactSource['numberOf'] = (workload) => ledger.get(workload)?.published?.current?.number ?? 0;
  const ofMesh = function* (): Iterable<ChangedFact> {
    yield* [{ kind: 'settings' }, { kind: 'rootPolicies' }] as const;
    // How much policies take depends on the settings.
    for (const namespace of policies.indexValues('scope')) yield { kind: 'load', namespace };
  };
  return {
    settings: () => {
      const anchor = keyRing.signer()?.anchor;
      return { mesh: mesh.current(), ...(anchor === undefined ? {} : { anchor }) };
    },
    rootPolicies: () => policies.byIndex('scope', mesh.current().rootNamespace).flatMap(({ active }) => active ?? []),
    labelsOf: (namespace) => namespaces.get(objectKey('', namespace))?.labels,
    loadOf: policyLoadOf,
    numberOf,
    all: function* () {
      yield* ofMesh();
      for (const { name } of namespaces.values()) yield { kind: 'namespace', namespace: name };
      for (const { key } of ledger.records()) if (numberOf(key) > 0) yield { kind: 'number', workload: key };
    },
    subscribe: (listener) => {
      const unsubscribes = [
        mesh.subscribe(() => {
          for (const changed of ofMesh()) listener(changed);
        }),
        keyRing.subscribe(() => listener({ kind: 'settings' })),
        namespaces.subscribe(({ key }) => listener({ kind: 'namespace', namespace: parseObjectKey(key).name })),
        policies.subscribe(({ before, after }) => {
          const namespace = (after ?? before)?.namespace ?? '';
          listener({ kind: 'load', namespace });
          if (namespace === mesh.current().rootNamespace && before?.active !== after?.active) listener({ kind: 'rootPolicies' });
        }),
        delivery.subscribeNumbers((workload) => listener({ kind: 'number', workload })),
      ];
      return () => {
        for (const unsubscribe of unsubscribes) unsubscribe();
      };
    },
  };
}
