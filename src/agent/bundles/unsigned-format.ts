/*
 * Bundles without a signature: one JSON document and its digest. For agents that run without a trust anchor, by hand or injected by an
 * earlier version.
 */
import type { WorkloadRef } from '../../api/kube/keys.ts';
import { BUNDLE_FILE_NAMES, type BundleFiles, decodeInSteps } from '../../bundle/decode.ts';
import type { Steps } from '../../steps.ts';
import type { BundleFormat, OpenedBundle } from './bundle-format.ts';

/** @param workload that the bundle must be for; undefined: any */
export function unsignedFormat(workload: WorkloadRef | undefined): BundleFormat {
  function* openInSteps(files: BundleFiles): Steps<OpenedBundle> {
    return { ...(yield* decodeInSteps(files, workload)), keep: files, problems: [] };
  }
  return { fileNames: BUNDLE_FILE_NAMES, openInSteps, openKeptInSteps: openInSteps };
}
