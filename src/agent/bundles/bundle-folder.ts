/*
 * Reads the files of a bundle from a folder: a mounted ConfigMap (its files are links through `..data`, which is swapped
 * as a whole) or a plain folder. In: the folder. Out: one consistent set of files, or undefined when none is there. Used
 * by the intake.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BUNDLE_BYTES } from '../../bundle/bundle.ts';
import { BUNDLE_FILE_NAMES, type BundleFiles } from '../../bundle/decode.ts';
import { RefusedError } from '../../errors.ts';

/** What was read, and a mark that changes when any of the files does. */
export interface FolderContent {
  readonly files: BundleFiles;
  readonly mark: string;
}

/**
 * The bundle's files in `folder`; undefined when it holds none of them or does not exist.
 * @param knownMark when the mark still is this one, nothing is read and `files` is empty
 * @throws RefusedError SP_BUNDLE_TOO_LARGE before reading what is too large
 */
export async function readBundleFolder(folder: string, knownMark: string): Promise<FolderContent | undefined> {
  const version = await currentVersion(folder);
  const marks: string[] = [version];
  const present: string[] = [];
  for (const name of BUNDLE_FILE_NAMES) {
    const found = await orAbsent(stat(join(version, name)));
    if (found === undefined) continue;
    marks.push(`${name} ${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`);
    if (found.size > MAX_BUNDLE_BYTES)
      throw new RefusedError('SP_BUNDLE_TOO_LARGE', `${name} has ${found.size} bytes; at most ${MAX_BUNDLE_BYTES} are read`);
    present.push(name);
  }
  if (present.length === 0) return undefined;
  const mark = marks.join('\n');
  if (mark === knownMark) return { files: {}, mark };
  const files = await Promise.all(present.map(async (name) => [name, await orAbsent(readFile(join(version, name)))] as const));
  return { files: Object.fromEntries(files), mark };
}

/** The folder that the links point into at this moment, so that all files are of one version. */
async function currentVersion(folder: string): Promise<string> {
  return (await orAbsent(realpath(join(folder, '..data')))) ?? folder;
}

/** Undefined when the file is not there. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}
