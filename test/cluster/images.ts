/*
 * Builds container images without Docker: reproducible docker-archive tars at `<cache>/images/<name>.tar`. Layers are cached
 * by content.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from '../../scripts/release/cache.ts';
import { type ImageFile, tarEntriesOf } from '../../scripts/release/image-file.ts';
import { type TarEntry, writeTar } from '../../scripts/release/tar.ts';
import type { LayerName } from './layers.ts';
import { baseFiles, imageUser, layerFiles } from './layers.ts';
import { installPackages } from './prerequisites.ts';

export type { ImageFile } from '../../scripts/release/image-file.ts';
export type { LayerName } from './layers.ts';

/** Content and configuration of an image. */
export interface ImageSpec {
  /** Name with tag, e.g. `sallyport/controller:test`. Pods use this name, with `imagePullPolicy: Never`. */
  readonly name: string;
  /** Ready-made layers, lowest first. */
  readonly layers: readonly LayerName[];
  /** The image's own files, in the top layer; absent or empty: no such layer. */
  readonly files?: readonly ImageFile[];
  /** Program and its first arguments. */
  readonly entrypoint: readonly string[];
  /** Arguments that a pod's `args` replaces; absent: none. */
  readonly cmd?: readonly string[];
  /** Environment in addition to PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** `uid` or `uid:gid`; absent: 65532:65532. */
  readonly user?: string;
  /** Absent: `/`. */
  readonly workdir?: string;
}

const path = '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Builds an image from programs of this machine, which are installed first, unless it is already built.
 * @returns path of a docker-archive tar; a later image of the same name replaces it
 */
export async function buildImage(spec: ImageSpec): Promise<string> {
  await installPackages();
  const layers = [await layerOf(baseFiles())];
  for (const name of spec.layers) layers.push(await layerOf(layerFiles[name]()));
  if (spec.files && spec.files.length > 0) layers.push(await layerOf(spec.files));
  const config = Buffer.from(JSON.stringify(configOf(spec, layers)));
  const digest = createHash('sha256').update(config).digest('hex');
  const archive = join(cacheRoot(), 'images', `${spec.name.replace(/[/:]/g, '_')}.tar`);
  const stampPath = `${archive}.config`;
  if (existsSync(archive) && (await readFile(stampPath, 'utf8').catch(() => '')) === digest) return archive;
  const manifest = [{ Config: `${digest}.json`, RepoTags: [spec.name], Layers: layers.map((layer) => `${hexOf(layer)}.tar`) }];
  await writeAtomically(archive, [
    { kind: 'file', path: `${digest}.json`, mode: 0o644, content: config },
    ...[...new Map(layers.map((layer) => [layer.diffId, layer])).values()].map(
      (layer): TarEntry => ({ kind: 'file', path: `${hexOf(layer)}.tar`, mode: 0o644, from: layer.path }),
    ),
    { kind: 'file', path: 'manifest.json', mode: 0o644, content: Buffer.from(JSON.stringify(manifest)) },
  ]);
  await writeFile(stampPath, digest);
  return archive;
}

interface Layer {
  readonly path: string;
  /** `sha256:<hex>` of the layer's tar. */
  readonly diffId: string;
}

/** @see opencontainers/image-spec config.md */
function configOf(spec: ImageSpec, layers: readonly Layer[]): object {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      User: spec.user ?? `${imageUser}:${imageUser}`,
      Env: [`PATH=${path}`, ...Object.entries(spec.env ?? {}).map(([name, value]) => `${name}=${value}`)],
      Entrypoint: spec.entrypoint,
      Cmd: spec.cmd ?? [],
      WorkingDir: spec.workdir ?? '/',
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  };
}

function hexOf(layer: Layer): string {
  return layer.diffId.slice('sha256:'.length);
}

/** The tar of these files, from the cache when their content has not changed. */
async function layerOf(files: readonly ImageFile[]): Promise<Layer> {
  const entries = tarEntriesOf(files);
  const key = await keyOf(entries);
  const tar = join(cacheRoot(), 'layers', `${key}.tar`);
  if (!existsSync(tar)) await writeAtomically(tar, entries);
  return { path: tar, diffId: await readFile(`${tar}.digest`, 'utf8') };
}

async function keyOf(entries: readonly TarEntry[]): Promise<string> {
  const hash = createHash('sha256');
  for (const entry of entries) {
    const { path: name, mode, kind } = entry;
    const content = entry.kind === 'file' ? ('content' in entry ? entry.content : await readFile(entry.from)) : '';
    const digest = createHash('sha256').update(content).digest('hex');
    hash.update(JSON.stringify([name, mode, kind, entry.kind === 'link' ? entry.target : digest]));
  }
  return hash.digest('hex').slice(0, 32);
}

/** Writes a tar, and before it `sha256:<hex>` of it as `<goal>.digest`, each atomically: images that are built at the same time share layers. */
async function writeAtomically(goal: string, entries: readonly TarEntry[]): Promise<void> {
  const dir = join(goal, '..');
  await mkdir(dir, { recursive: true });
  const work = await mkdtemp(join(dir, '.writing-'));
  try {
    await writeFile(join(work, 'digest'), await writeTar(join(work, 'file'), entries));
    await rename(join(work, 'digest'), `${goal}.digest`);
    await rename(join(work, 'file'), goal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
