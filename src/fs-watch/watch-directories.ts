/*
 * Follows directories: calls back soon after a change that the file system reports, and periodically, because reports may be
 * missing (no inotify watches left, a network file system, a directory that does not exist yet or was replaced).
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';

/** What to watch, and what to call. */
export interface WatchDirectoriesOptions {
  /** Absent directories are watched as soon as they exist. */
  readonly directories: readonly string[];
  /** Also report changes in subdirectories; default false. */
  readonly recursive?: boolean;
  /** Longest time between two calls in milliseconds, read before each wait. */
  readonly pollMs: () => number;
  /** Whether the watch keeps the process alive; default false. */
  readonly keepAlive?: boolean;
  /**
   * Called at the start, soon after each reported change and at every poll. Calls never overlap; a change during a call leads
   * to another call.
   */
  readonly onChange: () => Promise<void>;
}

interface WatchedDirectory {
  readonly path: string;
  /** -1: the directory does not exist. */
  inode: number;
  watcher: FSWatcher | undefined;
}

/**
 * Watches until `signal` aborts.
 *
 * @returns when aborted and the last call has ended
 * @throws the error of a call of `onChange`; the watch ends then
 */
export async function watchDirectories(options: WatchDirectoriesOptions, signal: AbortSignal): Promise<void> {
  const watched = options.directories.map((path): WatchedDirectory => ({ path, inode: -1, watcher: undefined }));
  const wakeup = createWakeup(signal, options.keepAlive === true);
  try {
    while (!signal.aborted) {
      for (const directory of watched) await ensureWatcher(directory, options, wakeup.wake);
      await options.onChange();
      await wakeup.wait(options.pollMs());
    }
  } finally {
    for (const directory of watched) directory.watcher?.close();
  }
}

/** Creates the watcher, and replaces it when the path has become another directory. */
async function ensureWatcher(directory: WatchedDirectory, options: WatchDirectoriesOptions, wake: () => void): Promise<void> {
  const inode = await stat(directory.path).then(
    (found) => found.ino,
    () => -1,
  );
  if (inode === directory.inode && directory.watcher !== undefined) return;
  directory.watcher?.close();
  directory.watcher = undefined;
  directory.inode = inode;
  if (inode === -1) return;
  try {
    const watcher = watch(directory.path, { persistent: options.keepAlive === true, recursive: options.recursive === true }, wake);
    watcher.on('error', () => {
      // The directory is gone or there are no watches left; the next poll tries again.
      watcher.close();
      if (directory.watcher === watcher) directory.watcher = undefined;
    });
    directory.watcher = watcher;
  } catch {
    // No watch is available; polling finds the changes.
  }
}

interface Wakeup {
  readonly wake: () => void;
  /** Resolves after `ms`, at the next wake, immediately if there was one since the last wait, or when the signal aborts. */
  readonly wait: (ms: number) => Promise<void>;
}

function createWakeup(signal: AbortSignal, keepAlive: boolean): Wakeup {
  let isPending = false;
  let resolveWait: (() => void) | undefined;
  const wake = (): void => {
    isPending = true;
    resolveWait?.();
  };
  signal.addEventListener('abort', wake, { once: true });
  return {
    wake,
    wait: async (ms) => {
      if (!isPending && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          if (!keepAlive) timer.unref();
          resolveWait = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      resolveWait = undefined;
      isPending = false;
    },
  };
}
