/*
 * Builds the images of the task without Docker: ours as a release has them, the others from the example's programs. They have the
 * names that the chart, the manifests and the samples use.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheRoot } from '../../../scripts/release/cache.ts';
import { IMAGE_NAMES } from '../../../scripts/release/image-contents.ts';
import { archiveLayout, writeLayout } from '../../../scripts/release/oci-layout.ts';
import { hostArchitecture } from '../../../scripts/release/platform.ts';
import { VERSION } from '../../../src/version.ts';
import type { ImageFile, ImageSpec } from '../../cluster/images.ts';
import { buildImage } from '../../cluster/images.ts';
import { projectRoot } from './shell.ts';

const run = promisify(execFile);
const node = '/usr/local/bin/node';

const REPOSITORY = 'registry.invalid/sallyport';

/** Names of the images. Ours have the chart's default names, so that no value needs to be set. */
export const taskImages: Readonly<Record<'controller' | 'agent' | 'httpbin' | 'sleep' | 'standIn', string>> = {
  controller: `${REPOSITORY}/controller:${VERSION}`,
  agent: `${REPOSITORY}/agent:${VERSION}`,
  /** httpbin.mjs and issuer.mjs of the example; runs the former on port 8080. */
  httpbin: 'sallyport/httpbin:example',
  /** curl and busybox. */
  sleep: 'sallyport/sleep:example',
  /** Stands in for the programs of workloads. */
  standIn: 'sallyport/stand-in:example',
};

/** Bundles the programs and builds the images. @returns paths of the archives */
export async function buildTaskImages(): Promise<readonly string[]> {
  await run(process.execPath, ['scripts/build.ts'], { cwd: projectRoot });
  const specs = [httpbin(taskImages.httpbin), sleep(taskImages.sleep), standIn(taskImages.standIn)];
  // The samples name images of a registry; these programs replace them.
  const samples = [httpbin(imageOfSample('httpbin')), sleep(imageOfSample('sleep'))];
  return Promise.all([ours(), ...[...specs, ...samples].map(buildImage)]);
}

/** The images of a release for this machine's architecture, as one archive. */
async function ours(): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'sallyport-images-'));
  const archive = join(cacheRoot(), 'images', 'sallyport-release.tar');
  try {
    await writeLayout(work, {
      names: IMAGE_NAMES,
      architectures: [hostArchitecture()],
      version: VERSION,
      repository: REPOSITORY,
      dist: join(projectRoot, 'dist'),
      created: 0,
    });
    await mkdir(dirname(archive), { recursive: true });
    await archiveLayout(work, archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return archive;
}

function httpbin(name: string): ImageSpec {
  const files = ['httpbin.mjs', 'issuer.mjs'].map((file) => appFile(`examples/jwt-task/${file}`, file));
  return { name, layers: ['node'], files, entrypoint: [node], cmd: ['/app/httpbin.mjs'], env: { PORT: '8080' } };
}

function sleep(name: string): ImageSpec {
  return { name, layers: ['busybox', 'curl'], entrypoint: ['/bin/sh', '-c', 'while :; do sleep 3600; done'] };
}

/** With the programs that probes run. */
function standIn(name: string): ImageSpec {
  const program = appFile('test/e2e/support/stand-in.mjs', 'stand-in.mjs');
  const isReady: ImageFile = { path: '/usr/bin/pg_isready', content: '#!/bin/sh\n', mode: 0o755 };
  return { name, layers: ['node', 'busybox', 'curl'], files: [program, isReady], entrypoint: [node, '/app/stand-in.mjs'], cmd: ['serve'] };
}

function appFile(from: string, name: string): ImageFile {
  return { path: `/app/${name}`, from: join(projectRoot, from), mode: 0o644 };
}

function imageOfSample(name: string): string {
  const text = readFileSync(join(projectRoot, 'manifests/samples', `${name}.yaml`), 'utf8');
  const image = /^\s*image: (\S+)$/m.exec(text)?.[1];
  if (image === undefined) throw new Error(`manifests/samples/${name}.yaml names no image`);
  return image;
}
