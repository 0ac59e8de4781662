/*
 * How bundles reach agents. Reconcile knows only this interface; ConfigMaps (in a cluster) and directories (`sallyport run`)
 * implement it. An implementation signs what it publishes and keeps `published` of the workload ledger up to date, also when another
 * client changes the copy.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { DesiredBundle } from '../status/workload-ledger.ts';

/** What a call wrote. `unchanged`: the published copy is as it should be already. `repaired`: another client had changed it. */
export type PublishResult = 'created' | 'updated' | 'repaired' | 'unchanged';

/** The Kubernetes object that owns the published copy: Kubernetes deletes the copy with it. Always in the workload's namespace. */
export interface BundleOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** The bundle in the unsigned form of level 1. */
export interface LegacyBundle {
  readonly json: string;
  readonly digest: string;
}

/** What the published copy needs to know besides the bundle. */
export interface PublishOptions {
  /** Generation of each policy in the bundle; absent: it is read from what was written. */
  readonly policies?: DesiredBundle['policies'];
  /** Absent: only {@link Delivery.withdraw} removes the copy. */
  readonly owner?: BundleOwner;
  /** For agents that an earlier version injected; absent: none exists. */
  readonly legacy?: LegacyBundle;
  /** Called when {@link PublishOptions.legacy} could not be published; the bundle itself is. Absent: publishing fails. */
  readonly onLegacyFailed?: (error: unknown) => void;
}

/** What happened to a published copy. `drifted`: it differs from the desired bundle, and another client wrote or deleted it. */
export interface DeliveryEvent {
  readonly kind: 'drifted';
  readonly workload: WorkloadRef;
}

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** Publishes bundles. Only the leader calls {@link Delivery.publish} and {@link Delivery.withdraw}. */
export interface Delivery {
  /**
   * Makes `bundle` the published bundle of its workload. The ledger must hold it as desired already, so that a watch event
   * of this write is not reported as drift.
   *
   * @throws TransientError when a retry may succeed; RefusedError when not (SP_TOO_LARGE, SP_KEYS_MISSING, or the API server refuses it)
   */
  readonly publish: (bundle: EncodedBundle, options: PublishOptions, signal: AbortSignal) => Promise<PublishResult>;
  /** Removes the published bundle of a workload. @returns true when there was one @throws TransientError */
  readonly withdraw: (workload: WorkloadRef, signal: AbortSignal) => Promise<boolean>;
  /** Calls `listener` for each event until unsubscribed. */
  readonly subscribe: (listener: (event: DeliveryEvent) => void) => Unsubscribe;
}
