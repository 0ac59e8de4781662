/*
 * Where bundles go. In: an encoded bundle, or a workload that needs none any more. Out: whether anything was written.
 * Reconcile knows only this interface; ConfigMaps (cluster) and a folder (`sallyport run`) implement it.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';

/** `unchanged`: nothing was written, and nothing had to be. */
export type ApplyResult = 'created' | 'updated' | 'unchanged';

/** The Kubernetes object whose end should take the bundle along. Always in the workload's namespace. */
export interface BundleOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface ApplyContext {
  /** Absent: the bundle is removed by the sweep alone. */
  readonly owner?: BundleOwner;
}

export interface BundleSink {
  /**
   * Makes the published bundle of `encoded.workload` be `encoded`.
   *
   * @throws TransientError when a retry may mend it; RefusedError (SP_BUNDLE_TOO_LARGE and what the API server refuses) when not
   */
  readonly apply: (encoded: EncodedBundle, context: ApplyContext, signal: AbortSignal) => Promise<ApplyResult>;
  /** Removes the workload's bundle; true when there was one. @throws TransientError */
  readonly remove: (workload: WorkloadRef, signal: AbortSignal) => Promise<boolean>;
  /** Every workload that has a published bundle, also those that should not have one. */
  readonly list: () => readonly WorkloadRef[];
  /** Tells of bundles that somebody else changed or deleted; absent: nobody else can. Returns the way to stop. */
  readonly subscribe?: (listener: (workload: WorkloadRef) => void) => () => void;
}
