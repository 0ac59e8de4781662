/*
 * Writes an OCI image layout without a container engine: one index entry per image, which names an image per architecture. Blobs that
 * images share are stored once. The same input makes the same bytes.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { cacheRoot } from './cache.ts';
import { sha256Of } from './hash.ts';
import { IMAGES, type ImageName, layersOf } from './image-contents.ts';
import { type ImageFile, tarEntriesOf } from './image-file.ts';
import type { Architecture } from './platform.ts';
import { type TarEntry, writeTar } from './tar.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const COMPRESSION = 6;
const PATH = '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What a layout is written from. */
export interface LayoutInput {
  readonly names: readonly ImageName[];
  readonly architectures: readonly Architecture[];
  readonly version: string;
  /** Registry and path before the names, e.g. `registry.example/sallyport`. */
  readonly repository: string;
  /** Directory with the bundles of `npm run build`. */
  readonly dist: string;
  /** Time of the images' creation, in seconds since 1970. */
  readonly created: number;
  /** Commit that the images are built from; absent: not named. */
  readonly revision?: string;
}

/** @see opencontainers/image-spec descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One image of a layout. */
export interface WrittenImage {
  readonly name: ImageName;
  /** Full name with tag. */
  readonly reference: string;
  /** Digest of the index that names the image of each architecture. */
  readonly digest: string;
  readonly manifests: Readonly<Partial<Record<Architecture, Descriptor>>>;
}

/** Writes a layout into a new or empty directory. */
export async function writeLayout(directory: string, input: LayoutInput): Promise<readonly WrittenImage[]> {
  const blobs = join(directory, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const images: WrittenImage[] = [];
  const entries: Descriptor[] = [];
  for (const name of input.names) {
    const manifests = new Map<Architecture, Descriptor>();
    for (const architecture of input.architectures) manifests.set(architecture, await writeImage(blobs, name, architecture, input));
    const index = { schemaVersion: 2, mediaType: INDEX, manifests: [...manifests.values()], annotations: annotationsOf(name, input) };
    const descriptor = await writeBlob(blobs, INDEX, index);
    const reference = `${input.repository}/${name}:${input.version}`;
    // containerd reads the first name; skopeo, oras and crane read the second one.
    const names = { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': `${name}-${input.version}` };
    entries.push({ ...descriptor, annotations: names });
    images.push({ name, reference, digest: descriptor.digest, manifests: Object.fromEntries(manifests) });
  }
  await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: entries }));
  return images;
}

/** Writes a layout as one tar file, which `ctr images import` and `skopeo` read. */
export async function archiveLayout(directory: string, goal: string): Promise<void> {
  const blobs = (await readdir(join(directory, 'blobs/sha256'))).map((name) => `blobs/sha256/${name}`);
  const entries = ['index.json', 'oci-layout', ...blobs].toSorted().map((path): TarEntry => {
    return { kind: 'file', path, mode: 0o644, from: join(directory, path) };
  });
  await writeTar(goal, entries);
}

async function writeImage(blobs: string, name: ImageName, architecture: Architecture, input: LayoutInput): Promise<Descriptor> {
  const layers: Layer[] = [];
  for (const files of await layersOf(name, architecture, input.dist)) layers.push(await writeLayer(blobs, files));
  const { entrypoint, env, user } = IMAGES[name];
  const created = new Date(input.created * 1000).toISOString();
  const config = {
    created,
    architecture,
    os: 'linux',
    config: {
      User: user,
      Env: [`PATH=${PATH}`, ...Object.entries(env).map(([variable, value]) => `${variable}=${value}`)],
      Entrypoint: entrypoint,
      WorkingDir: '/',
      Labels: annotationsOf(name, input),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: 'npm run release' })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: await writeBlob(blobs, CONFIG, config),
    layers: layers.map(({ digest, size }): Descriptor => ({ mediaType: LAYER, digest, size })),
    annotations: annotationsOf(name, input),
  };
  return { ...(await writeBlob(blobs, MANIFEST, manifest)), platform: { architecture, os: 'linux' } };
}

/** @see opencontainers/image-spec annotations.md */
function annotationsOf(name: ImageName, { version, created, revision }: LayoutInput): Readonly<Record<string, string>> {
  return {
    'org.opencontainers.image.title': IMAGES[name].title,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.created': new Date(created * 1000).toISOString(),
    ...(revision === undefined ? {} : { 'org.opencontainers.image.revision': revision }),
  };
}

async function writeBlob(blobs: string, mediaType: string, content: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

interface Layer {
  /** `sha256:<hex>` of the tar, before compression. */
  readonly diffId: string;
  /** `sha256:<hex>` of the compressed tar. */
  readonly digest: string;
  readonly size: number;
}

/** Writes the blob of a layer; what was compressed once is in the cache, by the hash of the tar and the version of zlib. */
async function writeLayer(blobs: string, files: readonly ImageFile[]): Promise<Layer> {
  const cache = join(cacheRoot(), 'layers');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, '.writing-'));
  try {
    const tar = join(work, 'tar');
    const diffId = await writeTar(tar, tarEntriesOf(files));
    const compressed = join(cache, `${diffId.slice('sha256:'.length)}-zlib-${process.versions.zlib}.gz`);
    if (!existsSync(compressed)) {
      await pipeline(createReadStream(tar), createGzip({ level: COMPRESSION }), createWriteStream(join(work, 'gz')));
      await rename(join(work, 'gz'), compressed);
    }
    const digest = await sha256Of(compressed);
    await copyFile(compressed, join(blobs, digest));
    return { diffId, digest: `sha256:${digest}`, size: (await stat(compressed)).size };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
