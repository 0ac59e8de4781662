/*
 * The Node.js of the images and executables: the npm package of each platform that package-lock.json pins by hash.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from './cache.ts';
import { type Architecture, NAMES } from './platform.ts';
import { run } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');

/** One pinned package with a Node.js. */
export interface PinnedNode {
  readonly name: string;
  readonly version: string;
  /** `sha512-<base64>`, as in package-lock.json. */
  readonly integrity: string;
}

/** The pinned Node.js of an architecture. @throws Error when package-lock.json has none */
export function pinnedNode(architecture: Architecture): PinnedNode {
  const name = `node-linux-${NAMES[architecture].node}`;
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`package-lock.json does not pin ${name}`);
  return { name, version, integrity };
}

/** Fetches the pinned Node.js of an architecture. @returns as {@link fetchNodePackage} */
export function fetchNode(architecture: Architecture): Promise<string> {
  return fetchNodePackage(pinnedNode(architecture));
}

/**
 * Fetches a package with a Node.js, unless it is in the cache.
 * @returns directory with `bin/node` and `LICENSE`
 * @throws Error when the package has another hash than `integrity`
 */
export async function fetchNodePackage(pinned: PinnedNode): Promise<string> {
  const key = Buffer.from(pinned.integrity.slice('sha512-'.length), 'base64').toString('hex').slice(0, 32);
  const goal = join(cacheRoot(), 'node', `${pinned.name}-${pinned.version}-${key}`);
  if (existsSync(goal)) return goal;
  await mkdir(join(goal, '..'), { recursive: true });
  const work = await mkdtemp(`${goal}.unpacking-`);
  try {
    const listing = await run('npm', ['pack', `${pinned.name}@${pinned.version}`, '--json', '--pack-destination', work], work);
    const [{ filename } = { filename: '' }] = JSON.parse(listing) as readonly { readonly filename: string }[];
    const archive = join(work, filename);
    const integrity = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`;
    if (integrity !== pinned.integrity) throw new Error(`${pinned.name}@${pinned.version}: its hash is not ${pinned.integrity}`);
    await run('tar', ['-xzf', archive, '--strip-components=1', '-C', work, 'package/bin/node', 'package/LICENSE']);
    await rm(archive);
    await rename(work, goal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return goal;
}
