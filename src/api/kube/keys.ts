/*
 * The names by which maps, queues and logs identify Kubernetes objects, and the functions that write and parse them.
 * No other file builds or splits a key.
 */

/** `namespace/name`; `/name` for a cluster-scoped object. */
export type ObjectKey = string;

/** `namespace/kind/name` of a workload, the kind in lower case. */
export type WorkloadKey = string;

/** `kind/namespace/name` of a policy. */
export type PolicyKey = string;

/** A workload within its namespace. */
export interface WorkloadId {
  /** Kind of the owner in lower case, without characters other than letters, digits and dashes: `deployment`, `statefulset`, `pod`, … */
  readonly kind: string;
  /** Name of the owner: Deployment, StatefulSet, DaemonSet, Job, CronJob or bare pod. */
  readonly name: string;
}

/** A workload: the owner of a set of pods that share one bundle. */
export interface WorkloadRef extends WorkloadId {
  readonly namespace: string;
}

/** The key of an object. @param namespace `''` for a cluster-scoped object */
export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`;
}

/** The namespace and name in a key that {@link objectKey} made. */
export function parseObjectKey(key: ObjectKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The key of a workload. */
export function workloadKey(workload: WorkloadRef): WorkloadKey {
  return `${workload.namespace}/${workload.kind}/${workload.name}`;
}

/** The workload whose key {@link workloadKey} made. */
export function parseWorkloadKey(key: WorkloadKey): WorkloadRef {
  const { namespace, name: kindAndName } = parseObjectKey(key);
  const { namespace: kind, name } = parseObjectKey(kindAndName);
  return { namespace, kind, name };
}

/** Whether two references are to one workload. */
export function isSameWorkload(one: WorkloadRef, other: WorkloadRef): boolean {
  return one.namespace === other.namespace && one.kind === other.kind && one.name === other.name;
}

/** The key of a policy by its names. */
export function policyKey(kind: string, namespace: string, name: string): PolicyKey {
  return `${kind}/${objectKey(namespace, name)}`;
}

/** The key of a parsed policy. */
export function policyKeyOf(policy: {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
}): PolicyKey {
  return policyKey(policy.kind, policy.metadata.namespace, policy.metadata.name);
}

/** The parts of a key that {@link policyKey} made. */
export function parsePolicyKey(key: PolicyKey): { readonly kind: string; readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { kind: key.slice(0, slash), ...parseObjectKey(key.slice(slash + 1)) };
}
