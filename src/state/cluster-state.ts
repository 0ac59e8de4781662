/*
 * All that is known of policies, pods and namespaces. In: raw objects from reflectors or a folder. Out: a read view for
 * resolve, compile and status, and one word per change that matters. A policy whose newest version is invalid stays in force
 * as it last was valid. No I/O; the controller and directory mode hold one each.
 */

import { acceptPolicy, type PolicyVersion } from '../api/istio/accept-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, type PolicyKey, policyKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimNamespace, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { type Affected, type Change, createSelection, type Selection } from '../resolve/selection.ts';
import { createStore, type Store } from './store.ts';

export type PolicyKind = Policy['kind'];

/** A policy object as it is now. */
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
  /** The newest version when it is valid, else the last valid one, else what can be read of it; absent when it cannot be read at all. */
  readonly inForce?: Policy;
  /** What is wrong or suspicious about the newest version. */
  readonly findings: readonly Finding[];
  readonly isValid: boolean;
  /** Is {@link PolicyEntry.inForce} valid, be it this version or an earlier one? */
  readonly wasValid: boolean;
  /** `status` as last seen, raw. */
  readonly status?: unknown;
}

export type ClusterStateListener = (change: Change, affected: Affected) => void;

export interface ClusterState {
  /** Which policy selects which workload; already up to date when a listener is called. */
  readonly selection: Selection;
  readonly policies: Store<PolicyEntry, 'scope'>;
  readonly pods: Store<SlimPod, 'workload' | 'agentWorkload'>;
  readonly namespaces: Store<SlimNamespace>;
  /** Takes up one policy, raw, with its `kind`. Objects of other kinds or without a name are passed over. */
  readonly upsertPolicy: (raw: unknown) => void;
  readonly removePolicy: (key: PolicyKey) => void;
  /** Makes the policies of one kind be exactly these. */
  readonly replacePolicies: (kind: PolicyKind, raws: Iterable<unknown>) => void;
  /** Policies in force that can reach pods of `namespace`, in no particular order. */
  readonly policiesInScope: (namespace: string) => readonly Policy[];
  /** Pods of a workload that are not finished, with or without an agent. */
  readonly podsOf: (workload: WorkloadRef) => readonly SlimPod[];
  /** Pods of a workload that are not finished and have an agent. */
  readonly agentPodsOf: (workload: WorkloadRef) => readonly SlimPod[];
  /**
   * Calls `listener` after each change that may concern a bundle, with the workloads and policies it affects.
   *
   * @returns a function that ends the subscription
   */
  readonly subscribe: (listener: ClusterStateListener) => () => void;
}

/** An empty world. @param mesh asked anew each time, so that a reloaded configuration counts at once */
export function createClusterState(mesh: () => MeshConfig): ClusterState {
  const policies = createPolicyStore();
  const pods = createPodStore();
  const namespaces = createStore<SlimNamespace>({
    keyOf: (namespace) => objectKey('', namespace.name),
    indexes: {},
    same: (before, after) => before.terminating === after.terminating && sameJson(before.labels, after.labels),
  });
  const upsertPolicy = (raw: unknown): void => {
    const entry = readPolicy(raw, (key) => policies.get(key));
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
        const entry = readPolicy(raw, (key) => policies.get(key));
        if (entry === undefined) continue;
        gone.delete(entry.key);
        policies.upsert(entry);
      }
      for (const key of gone) policies.remove(key);
    },
    policiesInScope: (namespace) => {
      const scopes = new Set([rootNamespace(), namespace]);
      return [...scopes].flatMap((scope) => policies.byIndex('scope', scope)).flatMap((entry) => entry.inForce ?? []);
    },
    podsOf: (workload) => pods.byIndex('workload', workloadKey(workload)),
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
      before.inForce === after.inForce &&
      before.generation === after.generation &&
      before.uid === after.uid &&
      sameJson(before.status, after.status) &&
      sameJson(before.findings, after.findings),
  });
}

function createPodStore(): ClusterState['pods'] {
  return createStore<SlimPod, 'workload' | 'agentWorkload'>({
    keyOf: (pod) => objectKey(pod.namespace, pod.name),
    indexes: {
      workload: (pod) => (isFinished(pod) ? [] : [workloadKey(workloadOf(pod))]),
      agentWorkload: (pod) => (isFinished(pod) || !hasAgent(pod) ? [] : [workloadKey(workloadOf(pod))]),
    },
    same: sameJson,
  });
}

/** Calls `emit` for each change of the stores that may concern a bundle. */
function onEachChange(stores: Pick<ClusterState, 'policies' | 'pods' | 'namespaces'>, emit: (change: Change) => void): void {
  stores.policies.subscribe(({ before, after }) => {
    // Neither a new status nor a new version that is rejected changes a bundle.
    if (before?.inForce === after?.inForce) return;
    emit({
      kind: 'policy',
      ...(before?.inForce === undefined ? {} : { before: before.inForce }),
      ...(after?.inForce === undefined ? {} : { after: after.inForce }),
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

function readPolicy(value: unknown, knownBy: (key: PolicyKey) => PolicyEntry | undefined): PolicyEntry | undefined {
  const raw = (value ?? {}) as RawPolicy;
  const { namespace = 'default', name, uid, generation = 0, resourceVersion } = raw.metadata ?? {};
  const { kind, status } = raw;
  if ((kind !== 'RequestAuthentication' && kind !== 'AuthorizationPolicy') || name === undefined) return undefined;
  const key = policyKey(kind, namespace, name);
  const known = knownBy(key);
  const version = acceptPolicy(known === undefined ? undefined : versionOf(known), raw);
  // A version that differs only in what no bundle holds (its resourceVersion) is the one that is known.
  const inForce = sameMeaning(known?.inForce, version.active) ? known?.inForce : version.active;
  return {
    key,
    kind,
    namespace,
    name,
    generation,
    findings: version.findings,
    isValid: version.isValid && version.isNewest,
    wasValid: version.isValid,
    ...present({ uid, resourceVersion, status, inForce }),
  };
}

function versionOf(entry: PolicyEntry): PolicyVersion {
  // Nobody asks for the findings of a version that was.
  return { findings: [], isValid: entry.wasValid, isNewest: entry.isValid, ...present({ active: entry.inForce }) };
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
