/*
 * Names of workloads and of their bundles. Controller, webhook and `sallyport inject` compute the same names from a pod, or
 * from what injection knows of a pod before it exists, without any lookup.
 */
import { createHash } from 'node:crypto';
import { withoutTrailing } from '../../text.ts';
import type { WorkloadId, WorkloadRef } from './keys.ts';
import { BUNDLE_NAME_PREFIX } from './names.ts';
import type { SlimPod } from './slim.ts';

/** The fields of a pod that determine the name of its workload. */
export interface PodOrigin {
  /** Name of the pod; `''` if not yet known. */
  readonly name: string;
  /** Present if the pod's name is generated from it. */
  readonly generateName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner?: { readonly kind: string; readonly name: string };
}

const MAX_OBJECT_NAME = 253;
const MAX_LABEL_VALUE = 63;
const HASH_LENGTH = 10;
const LEGACY_NAME_PREFIX = 'sallyport-';
/** Kind of the workload whose ReplicaSets carry a label with the hash of the pod template. */
const KIND_BY_TEMPLATE_HASH_LABEL = Object.entries({ 'pod-template-hash': 'deployment', 'rollouts-pod-template-hash': 'rollout' });
/** A CronJob appends the scheduled time in minutes, which has had at least eight digits since 1989. */
const CRON_SUFFIX = /-\d{8,}$/;

/** The workload that `pod` belongs to. */
export function workloadOf(pod: SlimPod): WorkloadRef {
  return { namespace: pod.namespace, ...workloadIdOf(pod) };
}

/**
 * Kind and name of the workload that a pod belongs to: the Deployment of a ReplicaSet, the CronJob of a Job, any other controlling
 * owner, or the pod itself if it has no owner. A Job whose name ends in eight or more digits is treated as a CronJob's.
 *
 * @example workloadIdOf({ name: '', labels: { 'pod-template-hash': '6b8c9f' }, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } }) // deployment, httpbin
 */
export function workloadIdOf(pod: PodOrigin): WorkloadId {
  const { owner } = pod;
  // A static pod is owned by its node; its name distinguishes it from the other pods there.
  if (owner === undefined || owner.kind === 'Node') return { kind: 'pod', name: bareName(pod) };
  if (owner.kind === 'ReplicaSet') return ownerOfReplicaSet(owner.name, pod.labels);
  return workloadIdOfOwner(owner.kind, owner.name);
}

/** The same, computed from the owner's manifest (`kind` Deployment, StatefulSet, CronJob, …) instead of a pod. */
export function workloadIdOfOwner(kind: string, name: string): WorkloadId {
  const withoutSuffix = kind === 'Job' ? name.replace(CRON_SUFFIX, '') : name;
  return { kind: withoutSuffix === name ? kindText(kind) : 'cronjob', name: withoutSuffix };
}

/**
 * Name of the ConfigMap of one slot of a workload's bundle: `sallyport-bundle-<kind>.<workload>.<slot>`, shortened with a hash if longer
 * than 253 characters. Kinds contain no dots, so that no two workloads share a name.
 */
export function slotName({ kind, name }: WorkloadId, slot: number): string {
  const suffix = `.${slot}`;
  return `${shortened(`${BUNDLE_NAME_PREFIX}${kind}.${name}`, MAX_OBJECT_NAME - suffix.length)}${suffix}`;
}

/** Name of the ConfigMap of one copy of a namespace's index. No kind of workload is `index`. */
export function indexName(copy: number): string {
  return `${BUNDLE_NAME_PREFIX}index.${copy}`;
}

/** Name of the unsigned ConfigMap for agents that an earlier version injected: `sallyport-<workload>`, shortened in the same way. */
export function legacyBundleName(workloadName: string): string {
  return shortened(`${LEGACY_NAME_PREFIX}${workloadName}`, MAX_OBJECT_NAME);
}

/** A workload's name as a label value: unchanged up to 63 characters, otherwise shortened with a hash. */
export function workloadLabelValue(workloadName: string): string {
  return shortened(workloadName, MAX_LABEL_VALUE);
}

/** Whether an agent guards the pod, see `readPodAgent`. */
export function hasAgent(pod: Pick<SlimPod, 'agent'>): boolean {
  return pod.agent !== undefined;
}

function bareName(pod: PodOrigin): string {
  // Injection sees a bare pod before its random suffix exists, so the suffix must not be part of the workload's name.
  return pod.generateName === undefined || pod.generateName === '' ? pod.name : withoutTrailing(pod.generateName, '-.');
}

function ownerOfReplicaSet(replicaSet: string, labels: Readonly<Record<string, string>>): WorkloadId {
  for (const [label, kind] of KIND_BY_TEMPLATE_HASH_LABEL) {
    const suffix = `-${labels[label] ?? ''}`;
    if (suffix !== '-' && replicaSet.endsWith(suffix) && replicaSet.length > suffix.length) {
      return { kind, name: replicaSet.slice(0, -suffix.length) };
    }
  }
  return { kind: 'replicaset', name: replicaSet };
}

/** An owner reference may name any kind; a key and an object name take letters, digits and dashes only. */
function kindText(kind: string): string {
  return kind.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
}

function shortened(name: string, maxLength: number): string {
  if (name.length <= maxLength) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${withoutTrailing(name.slice(0, maxLength - HASH_LENGTH - 1), '-._')}-${hash}`;
}
