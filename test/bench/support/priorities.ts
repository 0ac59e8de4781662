/*
 * Which threads of this machine go first. A benchmark runs an API server and its load next to what it measures; in a cluster they are on other
 * machines, or have their own share of the CPU.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

/** Gives all threads of a process, and those that they start later, a priority, see `os.setPriority`. @returns false: not permitted */
export function preferProcess(pid: number, priority: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => prefer(Number(thread), priority));
}

/** The same for the thread that calls it. */
export function preferThisThread(priority: number): boolean {
  return prefer(Number(basename(readlinkSync('/proc/thread-self'))), priority);
}

function prefer(thread: number, priority: number): boolean {
  try {
    setPriority(thread, priority);
    return true;
  } catch {
    return false;
  }
}
