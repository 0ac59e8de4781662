/*
 * Policies, pods and namespaces of a cluster or a directory, with the selection of workloads by policies. Informers or the
 * directory source write to it; the pipeline, status and metrics read it and subscribe to its changes. A policy whose newest
 * version is invalid keeps its last valid version active.
 */
import { acceptPolicy, type PolicySource, type PolicyVersion } from '../api/istio/accept-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import { objectKey, type PolicyKey, parsePolicyKey, policyKey, type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { isFinished, type SlimNamespace, type SlimPod } from '../api/kube/slim.ts';
import { hasAgent, workloadOf } from '../api/kube/workload.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import type { PolicyBudgets, PolicySize } from '../resolve/policy-load.ts';
import { type Affected, type Change, createSelection, type Selection } from '../resolve/selection.ts';
import { createPolicyAdmission, type ReadPolicy } from './admit-policies.ts';
import { readRecord, versionsToRecord } from './last-valid.ts';
import { sameJson, sameMeaning } from './same-policy.ts';
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
   * The version to enforce if there is no budget: the newest one when it is valid, otherwise the last good one, otherwise what can be parsed
   * of the newest; absent when none of these exists.
   */
  readonly candidate?: Policy;
  /** Whether {@link PolicyEntry.candidate} passed validation. */
  readonly isCandidateValid: boolean;
  /** The last version that was valid and within the budget. */
  readonly lastGood?: Policy;
  /**
   * The enforced version: {@link PolicyEntry.candidate}; if that is over the budget, {@link PolicyEntry.lastGood} or a replacement that denies
   * at least as much. Absent: none.
   */
  readonly active?: Policy;
  /** Why {@link PolicyEntry.candidate} is not enforced; absent: it is. */
  readonly refusal?: Finding;
  /** Errors and warnings of the newest version. */
  readonly findings: readonly Finding[];
  /** Whether the newest version passed validation. */
  readonly isValid: boolean;
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
  /**
   * Takes the last good versions of policies that an earlier process recorded for a namespace. To be called before the policies are read: a
   * version counts for the policy that is read first under its name, if it has the same UID.
   */
  readonly recall: (namespace: string, manifests: readonly unknown[]) => void;
  /** The last good versions of those policies of a namespace whose newest version is not enforced, as {@link ClusterState.recall} takes them. */
  readonly lastGoodOf: (namespace: string) => readonly object[];
  /** Decides again which versions are within their budget, after mesh settings changed. */
  readonly decideVersions: () => void;
  /** What the newest versions of all policies of a namespace take together, whatever selects what. */
  readonly policyLoadOf: (namespace: string) => PolicySize;
  /** Why a new version of a policy would be over its budget with all others of its namespace; undefined: it would not. */
  readonly whyOverBudget: (policy: Policy) => string | undefined;
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

/** Settings of a cluster state. */
export interface ClusterStateOptions {
  /** Whether policies come from an API server or from files, see `acceptPolicy`; absent: from an API server. */
  readonly source?: PolicySource;
  /** What policies may take of a bundle; absent: there is no limit. */
  readonly budgets?: PolicyBudgets;
}

/**
 * An empty cluster state.
 *
 * @param mesh called whenever a setting is read, so that a reloaded configuration counts immediately
 */
export function createClusterState(mesh: () => MeshConfig, { source = 'cluster', budgets }: ClusterStateOptions = {}): ClusterState {
  const policies = createPolicyStore();
  const admission = createPolicyAdmission(policies, budgets);
  const pods = createPodStore();
  const namespaces = createStore<SlimNamespace>({
    keyOf: (namespace) => objectKey('', namespace.name),
    indexes: {},
    same: (before, after) => before.terminating === after.terminating && sameJson(before.labels, after.labels),
  });
  const recalled = new Map<PolicyKey, Policy>();
  const read = (raw: unknown): ReadPolicy | undefined =>
    readPolicy(raw, source, (key) => policies.get(key) ?? entryOfRecord(recalled.get(key)));
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
    upsertPolicy: (raw) => {
      const policy = read(raw);
      if (policy !== undefined) admission.put([policy]);
    },
    removePolicy: (key) => admission.remove([key]),
    replacePolicies: (kind, raws) => {
      const gone = new Set([...policies.values()].filter((entry) => entry.kind === kind).map((entry) => entry.key));
      // The last object of a name counts, as when they are read one after the other.
      const byKey = new Map([...raws].flatMap((raw) => read(raw) ?? []).map((policy) => [policy.key, policy]));
      for (const key of byKey.keys()) gone.delete(key);
      admission.put([...byKey.values()]);
      admission.remove(gone);
      // Whatever is created from now on is another policy, also in a directory, where policies have no UID.
      for (const key of recalled.keys()) if (parsePolicyKey(key).kind === kind) recalled.delete(key);
    },
    recall: (namespace, manifests) => {
      for (const [key, policy] of readRecord(namespace, manifests, source)) recalled.set(key, policy);
    },
    lastGoodOf: (namespace) => versionsToRecord(policies.byIndex('scope', namespace)),
    decideVersions: admission.decideAll,
    policyLoadOf: admission.loadOf,
    whyOverBudget: admission.whyOverBudget,
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
      before.refusal?.message === after.refusal?.message &&
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

/** What is known of a policy before its newest version is read. */
type KnownPolicy = Pick<PolicyEntry, 'uid' | 'candidate' | 'lastGood' | 'isValid'>;

function readPolicy(value: unknown, source: PolicySource, knownBy: (key: PolicyKey) => KnownPolicy | undefined): ReadPolicy | undefined {
  const raw = (value ?? {}) as RawPolicy;
  const { namespace = 'default', name, uid, generation = 0, resourceVersion } = raw.metadata ?? {};
  const { kind, status } = raw;
  if ((kind !== 'RequestAuthentication' && kind !== 'AuthorizationPolicy') || name === undefined) return undefined;
  const key = policyKey(kind, namespace, name);
  const known = knownBy(key);
  const version = acceptPolicy(known === undefined ? undefined : versionOf(known), raw, source);
  // A version that differs only in its resourceVersion, which no bundle contains, is the known one: it causes no event.
  const candidate = sameMeaning(known?.candidate, version.active) ? known?.candidate : version.active;
  const lastGood = known?.uid === uid ? known?.lastGood : undefined;
  return {
    key,
    kind,
    namespace,
    name,
    generation,
    findings: version.findings,
    isValid: version.isValid && version.isNewest,
    isCandidateValid: version.isValid,
    ...present({ uid, resourceVersion, status, candidate, lastGood }),
  };
}

function entryOfRecord(policy: Policy | undefined): KnownPolicy | undefined {
  return policy === undefined
    ? undefined
    : { ...present({ uid: policy.metadata.uid }), candidate: policy, lastGood: policy, isValid: false };
}

function versionOf({ lastGood, isValid }: KnownPolicy): PolicyVersion {
  // `acceptPolicy` does not read the findings of the previous version.
  return { findings: [], isValid: lastGood !== undefined, isNewest: isValid, ...present({ active: lastGood }) };
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}
