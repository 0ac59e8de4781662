/*
 * The bundle of a mounted ConfigMap, or of a plain directory.
 */
import { readBundleDirectory } from './bundle-directory.ts';
import type { BundleSink } from './bundle-source.ts';

/** Offers the bundle of a directory whenever its files change. */
export class MountedVolume {
  readonly #directory: string;
  readonly #names: readonly string[];
  /** Identifies the files that were offered last; `''`: none were. */
  #mark = '';

  /** @param names files to read, relative to `directory` */
  constructor(directory: string, names: readonly string[]) {
    this.#directory = directory;
    this.#names = names;
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
