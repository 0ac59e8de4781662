/*
 * The labels of a bundle's ConfigMap, of either level.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import { BUNDLE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, WORKLOAD_LABEL } from '../api/kube/names.ts';
import { workloadLabelValue } from '../api/kube/workload.ts';

const SHORT_DIGEST_LENGTH = 12;

/** @param digest of the bundle, `sha256:…` */
export function bundleLabels(workload: WorkloadRef, digest: string): Readonly<Record<string, string>> {
  return {
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [BUNDLE_LABEL]: digest.slice('sha256:'.length, 'sha256:'.length + SHORT_DIGEST_LENGTH),
    [WORKLOAD_LABEL]: workloadLabelValue(workload.name),
  };
}
