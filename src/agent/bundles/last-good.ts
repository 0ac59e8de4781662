/*
 * Keeps the last good bundle in one file of an emptyDir, so that a restarted container starts with it, and never takes an older one.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFiles } from '../../bundle/decode.ts';
import { replaceFile } from '../../replace-file.ts';

const FILE = 'last-good-bundle';
const SEPARATOR = 0x0a;

/** Writes a line of JSON with the names and sizes of `files`, and then their contents, to one file, which is replaced atomically. */
export async function writeLastGood(stateDir: string, files: BundleFiles): Promise<void> {
  const entries = Object.entries(files).flatMap(([name, content]) => (content === undefined ? [] : [[name, content] as const]));
  const head = Buffer.from(`${JSON.stringify(entries.map(([name, { length }]) => [name, length]))}\n`);
  await replaceFile(join(stateDir, FILE), Buffer.concat([head, ...entries.map(([, content]) => content)]));
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
  const sizes = parseHead(content.subarray(0, Math.max(end, 0)).toString('utf8'));
  if (sizes === undefined) return undefined;
  let at = end + 1;
  return Object.fromEntries(
    sizes.map(([name, size]) => {
      at += size;
      return [name, content.subarray(at - size, at)];
    }),
  );
}

/** Names and sizes; undefined for anything else. */
function parseHead(text: string): readonly (readonly [name: string, size: number])[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isEntry = (entry: unknown): entry is readonly [string, number] =>
    Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1]) && entry[1] >= 0;
  return Array.isArray(value) && value.every(isEntry) ? value : undefined;
}
