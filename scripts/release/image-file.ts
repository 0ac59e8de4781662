/*
 * One entry of an image, and its form in a tar file.
 */
import { accessSync, constants } from 'node:fs';
import type { TarEntry } from './tar.ts';

/** One entry of an image: a file of this machine, a string, or a symbolic link. */
export type ImageFile = {
  /** Absolute path in the image. */
  readonly path: string;
  /** Permission bits; absent: 0755 when the file on this machine may be executed or for a directory, else 0644. */
  readonly mode?: number;
} & ({ readonly from: string } | { readonly content: string | Uint8Array } | { readonly linkTo: string } | { readonly folder: true });

/** The entries of a layer in the order of their paths, so that equal files make equal tars. */
export function tarEntriesOf(files: readonly ImageFile[]): readonly TarEntry[] {
  return files.map(entryOf).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function entryOf(file: ImageFile): TarEntry {
  const at = { path: file.path };
  if ('folder' in file) return { ...at, kind: 'folder', mode: file.mode ?? 0o755 };
  if ('linkTo' in file) return { ...at, kind: 'link', mode: 0o777, target: file.linkTo };
  if ('from' in file) return { ...at, kind: 'file', mode: file.mode ?? (isExecutable(file.from) ? 0o755 : 0o644), from: file.from };
  return { ...at, kind: 'file', mode: file.mode ?? 0o644, content: Buffer.from(file.content) };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
