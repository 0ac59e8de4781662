/*
 * The contract between what reads bundles and what activates them.
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

/** Takes the bundles that were read. */
export interface BundleSink {
  /** Verifies and activates a bundle; never rejects. */
  offer(files: BundleFiles): Promise<Activation>;
  /** The bundle cannot be read; the same error in a row is reported once. */
  onUnreadable(error: unknown): Activation;
}
