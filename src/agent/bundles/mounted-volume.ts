/*
 * The bundle of a mounted ConfigMap, or of a plain directory.
 */
import { watchDirectories } from '../../fs-watch/watch-directories.ts';
import { readBundleDirectory } from './bundle-directory.ts';
import type { BundleSink, BundleSource } from './bundle-source.ts';

/** Offers the bundle of a directory whenever its files change. */
export class MountedVolume implements BundleSource {
  readonly #directory: string;
  readonly #names: readonly string[];
  readonly #pollMs: number;
  /** Identifies the files that were offered last; `''`: none were. */
  #mark = '';

  /**
   * @param names files to read, relative to `directory`
   * @param pollMs milliseconds between two reads when the file system reports no change
   */
  constructor(directory: string, names: readonly string[], pollMs: number) {
    this.#directory = directory;
    this.#names = names;
    this.#pollMs = pollMs;
  }

  async run(sink: BundleSink, signal: AbortSignal): Promise<void> {
    await watchDirectories({ directories: [this.#directory], pollMs: () => this.#pollMs, onChange: () => this.read(sink) }, signal);
  }

  /** Offers the bundle if its files have changed since the last call; never rejects. */
  async read(sink: BundleSink): Promise<void> {
    try {
      const content = await readBundleDirectory(this.#directory, this.#names, this.#mark);
      if (content === undefined || content.mark === this.#mark) return;
      // A rejected bundle is not read again either until one of its files changes.
      this.#mark = content.mark;
      await sink.offer(content.files);
    } catch (error) {
      sink.onUnreadable(error);
    }
  }
}
