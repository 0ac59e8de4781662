/*
 * Keeps the last good bundle in one file of an emptyDir, so that a restarted container starts with it, and never takes an older one.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFiles } from '../../bundle/decode.ts';
import { joinFiles, splitFiles } from '../../bundle/joined-files.ts';
import { replaceFile } from '../../replace-file.ts';

const FILE = 'last-good-bundle';

/** Writes `files` to one file, which is replaced atomically. */
export async function writeLastGood(stateDir: string, files: BundleFiles): Promise<void> {
  await replaceFile(join(stateDir, FILE), joinFiles(files));
}

/** The files as they were written; undefined when there is no readable file. They must be verified like any other bundle. */
export async function readLastGood(stateDir: string): Promise<BundleFiles | undefined> {
  try {
    return splitFiles(await readFile(join(stateDir, FILE)));
  } catch {
    // Not written yet, or unreadable: the agent starts without a policy, as without a state directory.
    return undefined;
  }
}
