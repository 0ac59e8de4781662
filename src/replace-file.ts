/*
 * Replaces a file as a whole, so that a reader, also one after a crash, finds the old content or the new one.
 */
import { rename, writeFile } from 'node:fs/promises';

/** Writes `content` to `path` by way of a second file next to it. Only the owner may read it. One writer at a time. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, content, { mode: 0o600 });
  await rename(draft, path);
}
