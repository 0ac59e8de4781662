/*
 * Keeps the policy of one agent active: follows the bundle's volume and the labels of the pod.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { watchDirectories } from '../../fs-watch/watch-directories.ts';
import { type ActivatorHost, type ActivatorOptions, BundleActivator } from './bundle-activator.ts';
import { MountedVolume } from './mounted-volume.ts';
import { parsePodLabels } from './pod-labels.ts';

/** Where bundles and labels come from. */
export interface BundleOptions extends ActivatorOptions {
  /** Directory of the bundle. */
  readonly bundleDir: string;
  /** Downward-API file with the pod's labels; undefined: `labels` counts. */
  readonly labelsFile: string | undefined;
  /** Labels of the pod when there is no file; undefined: unknown. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Milliseconds between two reads when the file system reports no change. */
  readonly pollMs: number;
}

/** Reads bundles and labels, and activates the policy for this pod. */
export class Bundles {
  readonly #options: BundleOptions;
  readonly #activator: BundleActivator;
  readonly #volume: MountedVolume;

  constructor(options: BundleOptions, host: ActivatorHost) {
    this.#options = options;
    this.#activator = new BundleActivator(options, options.labels, host);
    this.#volume = new MountedVolume(options.bundleDir, this.#activator.fileNames, options.pollMs);
  }

  /** Activates a first bundle: that of the volume, or the last good one of an earlier run. Never rejects. */
  async begin(): Promise<void> {
    // Before the volume is read: what an earlier run accepted says which bundles are too old.
    await this.#activator.openKept();
    await this.read();
    if (!this.#activator.hasBundle) await this.#activator.restore();
  }

  /** Follows volume and labels until `signal` aborts; then resolves. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#volume.run(this.#activator, signal), this.#followLabels(signal)]);
  }

  /** Reads labels and volume once; never rejects. */
  async read(): Promise<void> {
    await this.#readLabels();
    await this.#volume.read(this.#activator);
  }

  async #followLabels(signal: AbortSignal): Promise<void> {
    const { labelsFile, pollMs } = this.#options;
    if (labelsFile === undefined) return;
    await watchDirectories({ directories: [dirname(labelsFile)], pollMs: () => pollMs, onChange: () => this.#readLabels() }, signal);
  }

  async #readLabels(): Promise<void> {
    const { labelsFile } = this.#options;
    if (labelsFile === undefined) return;
    try {
      this.#activator.setLabels(parsePodLabels(await readFile(labelsFile, 'utf8')));
      if (this.#activator.hasBundle) await this.#activator.activate();
    } catch (error) {
      this.#activator.report('cannot read the pod labels; the last known ones stay', error);
    }
  }
}
