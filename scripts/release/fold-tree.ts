/*
 * Prepares the commit of a release: the version, and the changelog instead of the fragments.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { foldInto, readFragments, sectionOf } from './changelog.ts';
import { withVersion } from './manifests.ts';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Writes CHANGELOG.md, removes the fragments, and sets the version in package.json, package-lock.json and Chart.yaml; `npm run gen` writes
 * what follows from it.
 *
 * @param created seconds since 1970, for the date of the section
 */
export async function foldTree(version: string, created: number): Promise<void> {
  const changes = join(ROOT, 'changes');
  const fragments = readFragments(changes);
  const date = new Date(created * 1000).toISOString().slice(0, 10);
  await edit('CHANGELOG.md', (text) => foldInto(text, sectionOf(version, date, fragments)));
  const old = (JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }).version;
  await edit('package.json', (text) => text.replace(`"version": "${old}"`, `"version": "${version}"`));
  // Once for the file, and once for its root package.
  await edit('package-lock.json', (text) => {
    return [1, 2].reduce((edited) => edited.replace(`"version": "${old}"`, `"version": "${version}"`), text);
  });
  await edit('charts/sallyport/Chart.yaml', (text) => withVersion(text, version));
  for (const { file } of fragments) await rm(join(changes, file));
}

async function edit(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(join(ROOT, path), change(await readFile(join(ROOT, path), 'utf8')));
}
