/*
 * Which files a change may affect.
 */
import { posix } from 'node:path';
import { readImports } from '../dependencies/read-imports.ts';

/** Path to the hash of the text. */
export type FileHashes = Readonly<Record<string, string>>;

/**
 * The files that changed, and those that import one of them or one that was deleted, directly or through others. Sorted.
 *
 * @param sources path from the project's root to text, of all files
 * @param before hashes when the files were last checked
 * @param now hashes of `sources`
 */
export function affectedFiles(sources: ReadonlyMap<string, string>, before: FileHashes, now: FileHashes): readonly string[] {
  const changed = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((path) => before[path] !== now[path]);
  if (changed.length === 0) return [];
  const importers = new Map<string, string[]>();
  for (const [path, text] of sources) {
    for (const { specifier } of readImports(path, text)) {
      if (specifier?.startsWith('.') !== true) continue;
      const target = posix.join(posix.dirname(path), specifier);
      importers.set(target, [...(importers.get(target) ?? []), path]);
    }
  }
  const affected = new Set(changed);
  for (const path of affected) for (const importer of importers.get(path) ?? []) affected.add(importer);
  return [...affected].filter((path) => sources.has(path)).toSorted();
}
