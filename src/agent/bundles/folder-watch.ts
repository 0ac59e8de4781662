/*
 * Tells when something in a folder may have changed: by the system's notices, and by a slow poll where there are none (the
 * folder is not there yet, was replaced, or lies on a file system without notices). In: folders. Out: calls. Used by the intake.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';

export interface FolderWatchOptions {
  readonly folders: readonly string[];
  readonly pollMs: number;
  /** Called soon after a change, and at every poll; calls never overlap, and a change during a call leads to another. */
  readonly onChange: () => Promise<void>;
}

interface Watched {
  readonly folder: string;
  inode: number;
  watcher: FSWatcher | undefined;
}

/** Watches until `signal` aborts; the returned promise then resolves. */
export async function watchFolders(options: FolderWatchOptions, signal: AbortSignal): Promise<void> {
  const watched: Watched[] = options.folders.map((folder) => ({ folder, inode: -1, watcher: undefined }));
  const bell = createBell(signal);
  while (!signal.aborted) {
    for (const one of watched) await keepWatching(one, bell.ring);
    await options.onChange();
    await bell.wait(options.pollMs);
  }
  for (const one of watched) one.watcher?.close();
}

/** Sets the watcher up, and anew when the folder has become another one. */
async function keepWatching(one: Watched, ring: () => void): Promise<void> {
  const inode = await stat(one.folder).then(
    (found) => found.ino,
    () => -1,
  );
  if (inode === one.inode && one.watcher !== undefined) return;
  one.watcher?.close();
  one.watcher = undefined;
  one.inode = inode;
  if (inode === -1) return;
  try {
    const watcher = watch(one.folder, { persistent: false }, ring);
    watcher.on('error', () => {
      // Gone or out of watches: the poll finds out and tries again.
      watcher.close();
      if (one.watcher === watcher) one.watcher = undefined;
    });
    one.watcher = watcher;
  } catch {
    // No watch to be had: the poll remains.
  }
}

interface Bell {
  readonly ring: () => void;
  /** Resolves at the next ring (or at once when it has rung since the last wait), after `ms`, or when the signal aborts. */
  readonly wait: (ms: number) => Promise<void>;
}

function createBell(signal: AbortSignal): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  const ring = (): void => {
    rung = true;
    wake?.();
  };
  signal.addEventListener('abort', ring, { once: true });
  return {
    ring,
    wait: async (ms) => {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          timer.unref();
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      wake = undefined;
      rung = false;
    },
  };
}
