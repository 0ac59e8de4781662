/*
 * Bundles without a signature: one JSON document and its digest. For agents that run without a trust anchor, by hand or injected by an
 * earlier version.
 */
import type { WorkloadRef } from '../../api/kube/keys.ts';
import { BUNDLE_FILE_NAMES, type BundleFiles, decodeApart } from '../../bundle/decode.ts';
import type { BundleFormat, OpenedBundle } from './bundle-format.ts';
import { TURNS } from './turns.ts';

/** @param workload that the bundle must be for; undefined: any */
export function unsignedFormat(workload: WorkloadRef | undefined): BundleFormat {
  const open = async (files: BundleFiles): Promise<OpenedBundle> => ({
    ...(await decodeApart(files, workload, TURNS)),
    keep: files,
    problems: [],
  });
  return { fileNames: BUNDLE_FILE_NAMES, number: 0, open, openKept: open };
}
