/*
 * Reads the files of a bundle from a mounted ConfigMap or a plain directory. The files of a mounted ConfigMap are links through
 * `..data`, which the kubelet replaces as a whole.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BUNDLE_BYTES } from '../../bundle/bundle.ts';
import type { BundleFiles } from '../../bundle/decode.ts';
import { RefusedError } from '../../errors.ts';

/** The files that were read, and a mark that changes when any of them does. */
export interface DirectoryContent {
  readonly files: BundleFiles;
  readonly mark: string;
}

/**
 * The files `names` in `directory`, all of one version; undefined when it has none of them or does not exist.
 * @param knownMark if the mark is still this one, nothing is read and `files` is empty
 * @throws RefusedError SP_BUNDLE_TOO_LARGE before reading what is too large
 */
export async function readBundleDirectory(
  directory: string,
  names: readonly string[],
  knownMark: string,
): Promise<DirectoryContent | undefined> {
  const version = await currentVersion(directory);
  const marks: string[] = [version];
  const present: string[] = [];
  for (const name of names) {
    const found = await orAbsent(stat(join(version, name)));
    if (found === undefined) continue;
    marks.push(`${name} ${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`);
    if (found.size > MAX_BUNDLE_BYTES)
      throw new RefusedError('SP_BUNDLE_TOO_LARGE', `${name} has ${found.size} bytes; at most ${MAX_BUNDLE_BYTES} are accepted`);
    present.push(name);
  }
  if (present.length === 0) return undefined;
  const mark = marks.join('\n');
  if (mark === knownMark) return { files: {}, mark };
  const files = await Promise.all(present.map(async (name) => [name, await orAbsent(readFile(join(version, name)))] as const));
  return { files: Object.fromEntries(files), mark };
}

/** The directory that the links point to now, so that all files are of one version. */
async function currentVersion(directory: string): Promise<string> {
  return (await orAbsent(realpath(join(directory, '..data')))) ?? directory;
}

/** Undefined when the file does not exist. */
async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}
