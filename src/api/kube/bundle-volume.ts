/*
 * The volume that brings a bundle into a pod, as injection writes it and as it is recognized in an admitted pod.
 */
import { AGENT_VOLUMES } from './agent-contract.ts';
import type { WorkloadId } from './keys.ts';
import { type Fields, fieldsOf } from './pod-fields.ts';
import { bundleName } from './workload.ts';

/** The volume with the bundle of a workload. Optional, because the controller creates the bundle when it sees the pod. */
export function bundleVolume(workload: WorkloadId): Fields {
  return { name: AGENT_VOLUMES.bundle, configMap: { name: bundleName(workload), optional: true } };
}

/** Whether a volume of an admitted pod can hold only the bundle of this workload. */
export function isBundleVolume(volume: Fields, workload: WorkloadId): boolean {
  const { name, items } = fieldsOf(volume['configMap']);
  return name === bundleName(workload) && items === undefined;
}
