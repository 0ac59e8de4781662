/*
 * Reads the source files below `src` for the checks of scripts/.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Path from `root` (`src/http/methods.ts`) to text, in order of the paths. */
export function readSources(root: string, folder = 'src'): Map<string, string> {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[cm]?[jt]sx?$/.test(name))
    .toSorted();
  return new Map(names.map((name) => [`${folder}/${name}`, readFileSync(join(root, folder, name), 'utf8')]));
}
