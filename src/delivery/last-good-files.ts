/*
 * The records of last good versions as files of a directory, for `sallyport run`. The directory belongs to the process, like its keys, so
 * nothing is signed.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../replace-file.ts';
import { formatRecord, type LastGoodStore, type Manifests, parseRecord } from './last-good-store.ts';

const SUFFIX = '.json';

/** A store in the directory `root`, which is created when it is first written. */
export function createLastGoodFiles(root: string): LastGoodStore {
  const fileOf = (namespace: string): string => join(root, `${namespace}${SUFFIX}`);
  return {
    read: async () => {
      const found = new Map<string, Manifests>();
      for (const name of await readdir(root).catch(() => [])) {
        if (!name.endsWith(SUFFIX)) continue;
        const namespace = name.slice(0, -SUFFIX.length);
        const manifests = parseRecord(namespace, await readFile(join(root, name), 'utf8').catch(() => ''));
        if (manifests !== undefined) found.set(namespace, manifests);
      }
      return found;
    },
    write: async (namespace, manifests) => {
      if (manifests.length === 0) {
        await rm(fileOf(namespace), { force: true });
        return;
      }
      await mkdir(root, { recursive: true });
      await replaceFile(fileOf(namespace), formatRecord(namespace, manifests));
    },
    // The directory belongs to the process.
    subscribe: () => () => undefined,
  };
}
