/*
 * Where built binaries, image layers and images are kept between runs, outside the checkout. In: environment variables.
 * Out: folders, and a lock so that two runs do not build the same thing at once. build.ts and images.ts use it.
 */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isSameProcess, startTimeOf } from './process.ts';

/** Folder of everything kept between runs: `SALLYPORT_CACHE`, else `sallyport` in `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheRoot(): string {
  const own = process.env['SALLYPORT_CACHE'];
  if (own) return own;
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sallyport');
}

const retryMs = 250;

/**
 * Runs `work` while no other process holds the same lock, waiting for it as long as that takes; a lock whose holder has died is taken over.
 * @param name a file name; the lock lies in the cache folder
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
  // An empty file is a lock being written this very moment.
  const [pid, startTime] = holder.split(' ');
  if (pid && startTime && !isSameProcess(Number(pid), startTime)) await rm(path, { force: true });
  return false;
}
