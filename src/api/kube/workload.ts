/*
 * Names of workloads and of their bundles. Controller, webhook and `sallyport inject` compute the same names from a pod, or
 * from what injection knows of a pod before it exists, without any lookup.
 */
import { createHash } from 'node:crypto';
import { withoutTrailing } from '../../text.ts';
import type { WorkloadRef } from './keys.ts';
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
const TEMPLATE_HASH_LABELS = ['pod-template-hash', 'rollouts-pod-template-hash'] as const;
/** A CronJob appends the scheduled time in minutes, which has had at least eight digits since 1989. */
const CRON_SUFFIX = /-\d{8,}$/;

/** The workload that `pod` belongs to. */
export function workloadOf(pod: SlimPod): WorkloadRef {
  return { namespace: pod.namespace, name: workloadNameOf(pod) };
}

/**
 * Name of the workload that a pod belongs to: the Deployment of a ReplicaSet, the CronJob of a Job, any other controlling
 * owner, or the pod itself if it has no owner. A Job whose name ends in eight or more digits is treated as a CronJob's.
 *
 * @example workloadNameOf({ name: '', labels: { 'pod-template-hash': '6b8c9f' }, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } }) // 'httpbin'
 */
export function workloadNameOf(pod: PodOrigin): string {
  const { owner } = pod;
  // A static pod is owned by its node; its name distinguishes it from the other pods there.
  if (owner === undefined || owner.kind === 'Node') return bareName(pod);
  if (owner.kind === 'ReplicaSet') return withoutTemplateHash(owner.name, pod.labels);
  if (owner.kind === 'Job') return owner.name.replace(CRON_SUFFIX, '');
  return owner.name;
}

/** The same name, computed from the owner's manifest (`kind` Deployment, StatefulSet, CronJob, …) instead of a pod. */
export function workloadNameOfOwner(kind: string, name: string): string {
  return kind === 'Job' ? name.replace(CRON_SUFFIX, '') : name;
}

/** Name of the ConfigMap of a workload's bundle: `sallyport-bundle-<workload>`, shortened with a hash if longer than 253 characters. */
export function bundleName(workloadName: string): string {
  return shortened(`${BUNDLE_NAME_PREFIX}${workloadName}`, MAX_OBJECT_NAME);
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

function withoutTemplateHash(replicaSet: string, labels: Readonly<Record<string, string>>): string {
  for (const label of TEMPLATE_HASH_LABELS) {
    const suffix = `-${labels[label] ?? ''}`;
    if (suffix !== '-' && replicaSet.endsWith(suffix) && replicaSet.length > suffix.length) return replicaSet.slice(0, -suffix.length);
  }
  return replicaSet;
}

function shortened(name: string, maxLength: number): string {
  if (name.length <= maxLength) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${withoutTrailing(name.slice(0, maxLength - HASH_LENGTH - 1), '-._')}-${hash}`;
}
