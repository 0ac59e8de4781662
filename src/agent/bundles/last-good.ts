/*
 * Keeps the last good bundle in a file of an emptyDir, so that a restarted container starts with it when the volume has none.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_DIGEST_KEY } from '../../api/kube/names.ts';
import type { BundleFiles } from '../../bundle/decode.ts';

const FILE = 'last-good-bundle';
const SEPARATOR = 0x0a;

/** Writes digest, file name and content to one file, which is replaced atomically. */
export async function writeLastGood(stateDir: string, files: BundleFiles): Promise<void> {
  const entry = Object.entries(files).find(([name, content]) => name !== BUNDLE_DIGEST_KEY && content !== undefined);
  const digest = files[BUNDLE_DIGEST_KEY];
  if (entry?.[1] === undefined || digest === undefined) return;
  const head = Buffer.from(`${Buffer.from(digest).toString('latin1').trim()} ${entry[0]}\n`, 'latin1');
  const path = join(stateDir, FILE);
  await writeFile(`${path}.new`, Buffer.concat([head, entry[1]]), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The files as they were written; undefined when there is no readable file. They must be verified like any other bundle. */
export async function readLastGood(stateDir: string): Promise<BundleFiles | undefined> {
  let content: Buffer;
  try {
    content = await readFile(join(stateDir, FILE));
  } catch {
    // Not written yet, or unreadable: the agent starts without a policy, as without a state directory.
    return undefined;
  }
  const end = content.indexOf(SEPARATOR);
  const [digest, name] = content.subarray(0, Math.max(end, 0)).toString('latin1').split(' ');
  if (digest === undefined || name === undefined) return undefined;
  return { [name]: content.subarray(end + 1), [BUNDLE_DIGEST_KEY]: Buffer.from(digest, 'latin1') };
}
