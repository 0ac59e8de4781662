/*
 * The contract between a source of bundles and what activates them.
 */
import type { BundleFiles } from '../../bundle/decode.ts';
import type { ErrorCode } from '../../errors.ts';

/**
 * What became of a bundle. `waiting`: it is valid, but has no program for the labels of this pod, or none could be made active;
 * the previous policy stays active.
 */
export type Activation =
  | { readonly kind: 'active'; readonly digest: string }
  | { readonly kind: 'waiting'; readonly digest: string }
  | { readonly kind: 'rejected'; readonly code: ErrorCode };

/** Takes the bundles of a source. */
export interface BundleSink {
  /** Verifies and activates a bundle; never rejects. */
  offer(files: BundleFiles): Promise<Activation>;
  /** The source cannot read its bundle; the same error in a row is reported once. */
  onUnreadable(error: unknown): Activation;
}

/** Delivers bundles: from a mounted volume today. */
export interface BundleSource {
  /** Offers each new bundle until `signal` aborts; then resolves. */
  run(sink: BundleSink, signal: AbortSignal): Promise<void>;
}
