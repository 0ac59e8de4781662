/*
 * The npm package: the bundled command line without dependencies.
 */
import { copyFile, cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Fields of package.json that a user of the package needs. */
const PUBLISHED = ['name', 'version', 'description', 'license', 'type', 'engines', 'bin', 'files'] as const;

/**
 * Packs the package.
 *
 * @param dist directory with the bundles
 * @param work empty directory for what is made on the way
 * @param goal path of the archive
 */
export async function writeNpmPackage(version: string, dist: string, work: string, goal: string): Promise<void> {
  const source: Record<string, unknown> = { ...(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as object), version };
  const published = Object.fromEntries(PUBLISHED.map((field) => [field, source[field]]));
  await mkdir(join(work, 'dist'), { recursive: true });
  await writeFile(join(work, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  for (const file of ['README.md', 'LICENSE']) await copyFile(join(ROOT, file), join(work, file));
  for (const file of ['sallyport.mjs', 'cli.mjs', 'cli']) await cp(join(dist, file), join(work, 'dist', file), { recursive: true });
  const listing = await run('npm', ['pack', '--json', '--ignore-scripts'], work);
  const [{ filename } = { filename: '' }] = JSON.parse(listing) as readonly { readonly filename: string }[];
  await rename(join(work, filename), goal);
}
