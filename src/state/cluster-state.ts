/*
 * Policies, pods and namespaces of a cluster or a directory, with the selection of workloads by policies. Informers or the
 * directory source write to it; the pipeline, status and metrics read it and subscribe to its changes. A policy whose newest
 * version is invalid keeps its last valid version active.
 */
import { acceptPolicy, type PolicySource, type PolicyVersion } from '../api/istio/accept-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, type PolicyKey, policyKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimNamespace, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { type Affected, type Change, createSelection, type Selection } from '../resolve/selection.ts';
import { createStore, type Store } from './store.ts';

/** The two kinds of policies. */
export type PolicyKind = Policy['kind'];

/** A policy object: its newest version, and the version that is enforced. */
export interface PolicyEntry {
  readonly key: PolicyKey;
  readonly kind: PolicyKind;
  readonly namespace: string;
  readonly name: string;
  /** Absent for objects from files. */
  readonly uid?: string;
  /** 0 for objects from files. */
  readonly generation: number;
  readonly resourceVersion?: string;
  /**
   * The enforced version: the newest one when it is valid, otherwise the last valid one, otherwise what can be parsed of the newest;
   * absent when none of these exists.
   */
  readonly active?: Policy;
  /** Errors and warnings of the newest version. */
  readonly findings: readonly Finding[];
  /** Whether the newest version passed validation. */
  readonly isValid: boolean;
  /** Whether {@link PolicyEntry.active} passed validation, whether it is the newest version or an earlier one. */
  readonly isActiveValid: boolean;
  /** `status` as the API server returned it last; not validated. */
  readonly status?: unknown;
}

/** Called after a change, with what it affects. */
export type ClusterStateListener = (change: Change, affected: Affected) => void;

/** The objects of one cluster or directory. All members are synchronous and in memory. */
export interface ClusterState {
  /** Which policy selects which workload; already up to date when a listener is called. */
  readonly selection: Selection;
  readonly policies: Store<PolicyEntry, 'scope'>;
  readonly pods: Store<SlimPod, 'agentWorkload'>;
  readonly namespaces: Store<SlimNamespace>;
  /** Adds or replaces a policy from an object with its `kind`. Objects of other kinds or without a name are ignored. */
  readonly upsertPolicy: (raw: unknown) => void;
  readonly removePolicy: (key: PolicyKey) => void;
  /** Makes `raws` the only policies of one kind. */
  readonly replacePolicies: (kind: PolicyKind, raws: Iterable<unknown>) => void;
  /** Active policies that can apply to pods of `namespace`, whether or not they select one; in no particular order. */
  readonly policiesInScope: (namespace: string) => readonly Policy[];
  /** Pods of a workload that are not finished and have an agent. */
  readonly agentPodsOf: (workload: WorkloadRef) => readonly SlimPod[];
  /**
   * Calls `listener` after each change that may concern a bundle, with the workloads and policies it affects.
   *
   * @returns a function that ends the subscription
   */
  readonly subscribe: (listener: ClusterStateListener) => () => void;
}

/**
 * An empty cluster state.
 *
 * @param mesh called whenever a setting is read, so that a reloaded configuration counts immediately
 * @param source whether policies come from an API server or from files, see `acceptPolicy`
 */
export function createClusterState(mesh: () => MeshConfig, source: PolicySource = 'cluster'): ClusterState {
  const policies = createPolicyStore();
  const pods = createPodStore();
  const namespaces = createStore<SlimNamespace>({
    keyOf: (namespace) => objectKey('', namespace.name),
    indexes: {},
    same: (before, after) => before.terminating === after.terminating && sameJson(before.labels, after.labels),
  });
  const upsertPolicy = (raw: unknown): void => {
    const entry = readPolicy(raw, source, (key) => policies.get(key));
    if (entry !== undefined) policies.upsert(entry);
  };
  const rootNamespace = (): string => mesh().rootNamespace;
  const selection = createSelection(rootNamespace);
  const listeners = new Set<ClusterStateListener>();
  onEachChange({ policies, pods, namespaces }, (change) => {
    const affected = selection.apply(change);
    for (const listener of listeners) listener(change, affected);
  });
  const agentPodsOf = (workload: WorkloadRef): readonly SlimPod[] => pods.byIndex('agentWorkload', workloadKey(workload));

  return {
    selection,
    policies,
    pods,
    namespaces,
    upsertPolicy,
    removePolicy: policies.remove,
    replacePolicies: (kind, raws) => {
      const gone = new Set([...policies.values()].filter((entry) => entry.kind === kind).map((entry) => entry.key));
      for (const raw of raws) {
        const entry = readPolicy(raw, source, (key) => policies.get(key));
        if (entry === undefined) continue;
        gone.delete(entry.key);
        policies.upsert(entry);
      }
      for (const key of gone) policies.remove(key);
    },
    policiesInScope: (namespace) => {
      const scopes = new Set([rootNamespace(), namespace]);
      return [...scopes].flatMap((scope) => policies.byIndex('scope', scope)).flatMap((entry) => entry.active ?? []);
    },
    agentPodsOf,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function createPolicyStore(): ClusterState['policies'] {
  return createStore<PolicyEntry, 'scope'>({
    keyOf: (entry) => entry.key,
    indexes: { scope: (entry) => [entry.namespace] },
    same: (before, after) =>
      before.active === after.active &&
      before.generation === after.generation &&
      before.uid === after.uid &&
      sameJson(before.status, after.status) &&
      sameJson(before.findings, after.findings),
  });
}

function createPodStore(): ClusterState['pods'] {
  return createStore<SlimPod, 'agentWorkload'>({
    keyOf: (pod) => objectKey(pod.namespace, pod.name),
    indexes: {
      agentWorkload: (pod) => (isFinished(pod) || !hasAgent(pod) ? [] : [workloadKey(workloadOf(pod))]),
    },
    same: sameJson,
  });
}

/** Calls `emit` for each change of the stores that may concern a bundle. */
function onEachChange(stores: Pick<ClusterState, 'policies' | 'pods' | 'namespaces'>, emit: (change: Change) => void): void {
  stores.policies.subscribe(({ before, after }) => {
    // Neither a new status nor a new version that is rejected changes a bundle.
    if (before?.active === after?.active) return;
    emit({
      kind: 'policy',
      ...(before?.active === undefined ? {} : { before: before.active }),
      ...(after?.active === undefined ? {} : { after: after.active }),
    });
  });
  stores.pods.subscribe(({ before, after }) => {
    emit({ kind: 'pod', ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) });
  });
  stores.namespaces.subscribe(({ before, after }) => {
    const name = (after ?? before)?.name;
    if (name !== undefined && before?.terminating !== after?.terminating) emit({ kind: 'namespace', name });
  });
}

interface RawPolicy {
  readonly kind?: unknown;
  readonly metadata?: {
    readonly namespace?: string;
    readonly name?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly resourceVersion?: string;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

function readPolicy(value: unknown, source: PolicySource, knownBy: (key: PolicyKey) => PolicyEntry | undefined): PolicyEntry | undefined {
  const raw = (value ?? {}) as RawPolicy;
  const { namespace = 'default', name, uid, generation = 0, resourceVersion } = raw.metadata ?? {};
  const { kind, status } = raw;
  if ((kind !== 'RequestAuthentication' && kind !== 'AuthorizationPolicy') || name === undefined) return undefined;
  const key = policyKey(kind, namespace, name);
  const known = knownBy(key);
  const version = acceptPolicy(known === undefined ? undefined : versionOf(known), raw, source);
  // A version that differs only in its resourceVersion, which no bundle contains, is the known one: it causes no event.
  const active = sameMeaning(known?.active, version.active) ? known?.active : version.active;
  return {
    key,
    kind,
    namespace,
    name,
    generation,
    findings: version.findings,
    isValid: version.isValid && version.isNewest,
    isActiveValid: version.isValid,
    ...present({ uid, resourceVersion, status, active }),
  };
}

function versionOf(entry: PolicyEntry): PolicyVersion {
  // `acceptPolicy` does not read the findings of the previous version.
  return { findings: [], isValid: entry.isActiveValid, isNewest: entry.isValid, ...present({ active: entry.active }) };
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

function sameMeaning(before: Policy | undefined, after: Policy | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  const { resourceVersion: _before, ...old } = before.metadata;
  const { resourceVersion: _after, ...fresh } = after.metadata;
  return sameJson([old, before.spec], [fresh, after.spec]);
}

function sameJson(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after);
}
