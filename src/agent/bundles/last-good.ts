/*
 * Keeps the last good bundle in a file, so that a container that is started again begins with it when the volume holds
 * none. In: files of a bundle that was accepted. Out: the same files. Used by the intake; the folder is an emptyDir.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_DIGEST_KEY } from '../../api/kube/names.ts';
import type { BundleFiles } from '../../bundle/decode.ts';

const FILE = 'last-good-bundle';
const SEPARATOR = 0x0a;

/** Writes digest, file name and content into one file, replaced as a whole. */
export async function writeLastGood(stateDir: string, files: BundleFiles): Promise<void> {
  const entry = Object.entries(files).find(([name, content]) => name !== BUNDLE_DIGEST_KEY && content !== undefined);
  const digest = files[BUNDLE_DIGEST_KEY];
  if (entry?.[1] === undefined || digest === undefined) return;
  const head = Buffer.from(`${Buffer.from(digest).toString('latin1').trim()} ${entry[0]}\n`, 'latin1');
  const path = join(stateDir, FILE);
  await writeFile(`${path}.new`, Buffer.concat([head, entry[1]]), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The files as they were written; undefined when there is no readable file. They are to be decoded and checked like any other. */
export async function readLastGood(stateDir: string): Promise<BundleFiles | undefined> {
  let content: Buffer;
  try {
    content = await readFile(join(stateDir, FILE));
  } catch {
    // None was written, or it cannot be read: the agent then begins closed, as without a state folder.
    return undefined;
  }
  const end = content.indexOf(SEPARATOR);
  const [digest, name] = content.subarray(0, Math.max(end, 0)).toString('latin1').split(' ');
  if (digest === undefined || name === undefined) return undefined;
  return { [name]: content.subarray(end + 1), [BUNDLE_DIGEST_KEY]: Buffer.from(digest, 'latin1') };
}
