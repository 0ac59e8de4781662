/*
 * The contract between what activates bundles and the form in which they are mounted.
 */
import type { BundleFiles, DecodedBundle } from '../../bundle/decode.ts';
import type { RefusedError } from '../../errors.ts';

/** A good bundle. */
export interface OpenedBundle extends DecodedBundle {
  /** What a later run of this agent needs to open the bundle again. */
  readonly keep: BundleFiles;
  /** Copies that were refused although another one is good. */
  readonly problems: readonly RefusedError[];
}

/** Opens mounted bundles. */
export interface BundleFormat {
  /** Files to read, relative to the directory of the bundle. */
  readonly fileNames: readonly string[];
  /** Number of the bundle that was opened last; 0: none, or bundles have no numbers. */
  readonly number: number;
  /** Opens what was mounted; one call at a time. Rejects with a RefusedError when no copy is good. */
  open(files: BundleFiles): Promise<OpenedBundle>;
  /** Opens what an earlier run kept, before anything that is mounted. Rejects with a RefusedError. */
  openKept(kept: BundleFiles): Promise<OpenedBundle>;
}
