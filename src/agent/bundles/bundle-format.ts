/*
 * The contract between what activates bundles and the form in which they are mounted.
 */
import type { BundleFiles, DecodedBundle } from '../../bundle/decode.ts';
import type { RefusedError } from '../../errors.ts';
import type { Steps } from '../../steps.ts';

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
  /** Opens what was mounted, in steps. @throws RefusedError when no copy is good */
  openInSteps(files: BundleFiles): Steps<OpenedBundle>;
  /** Opens what an earlier run kept, before anything that is mounted. @throws RefusedError */
  openKeptInSteps(kept: BundleFiles): Steps<OpenedBundle>;
}
