/*
 * The cache of built binaries, image layers and images, outside of the checkout, with a lock so that two runs do not build
 * the same thing at the same time.
 */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheRoot } from '../../scripts/release/cache.ts';
import { isSameProcess, startTimeOf } from './process.ts';

export { cacheRoot };

const retryMs = 250;

/**
 * Runs `work` while no other process holds the same lock, and waits for it without limit; a lock whose holder has died is taken over.
 * @param name file name of the lock in the cache directory
 */
export async function withLock<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const path = join(cacheRoot(), 'locks', name);
  await mkdir(dirname(path), { recursive: true });
  let told = false;
  while (!(await tryLock(path))) {
    if (!told) process.stderr.write(`waiting for another run to release ${path}\n`);
    told = true;
    await sleep(retryMs, undefined, signal ? { signal } : {});
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(`${process.pid} ${startTimeOf(process.pid)}`);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const holder = await readFile(path, 'utf8').catch(() => '');
  // An empty file is a lock that is being written.
  const [pid, startTime] = holder.split(' ');
  if (pid && startTime && !isSameProcess(Number(pid), startTime)) await rm(path, { force: true });
  return false;
}
