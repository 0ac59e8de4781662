/*
 * Bundles into a folder, laid out like mounted ConfigMap volumes: `<root>/<namespace>/<workload>/bundle.json` through a
 * `..data` symlink that is swapped in one rename, so that an agent reads it exactly as it reads a volume and never sees
 * half of it. The sink of `sallyport run`.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { ApplyResult, BundleSink } from './sink.ts';

const DATA_LINK = '..data';

/** Folder of a workload's bundle below `root`: what its agent is told to follow. */
export function bundleDirectory(root: string, workload: WorkloadRef): string {
  return join(root, workload.namespace, workload.name);
}

/** A sink that owns everything below `root`; `root` is made when it is not there. One writer at a time. */
export async function createDirectorySink(root: string): Promise<BundleSink> {
  await mkdir(root, { recursive: true });
  const published = new Map<string, WorkloadRef>();
  for (const workload of await listBundles(root)) published.set(workloadKey(workload), workload);
  return {
    apply: async (encoded) => {
      const result = await write(bundleDirectory(root, encoded.workload), encoded);
      published.set(workloadKey(encoded.workload), encoded.workload);
      return result;
    },
    remove: async (workload) => {
      const existed = published.delete(workloadKey(workload));
      await rm(bundleDirectory(root, workload), { recursive: true, force: true });
      return existed;
    },
    list: () => [...published.values()],
  };
}

async function write(directory: string, encoded: EncodedBundle): Promise<ApplyResult> {
  const before = await readFile(join(directory, BUNDLE_DIGEST_KEY), 'utf8').catch(() => null);
  if (before === encoded.digest) return 'unchanged';
  const version = `..${encoded.digest.slice('sha256:'.length, 'sha256:'.length + 24)}`;
  const target = join(directory, version);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await writeFile(join(target, BUNDLE_KEY), encoded.json);
  await writeFile(join(target, BUNDLE_DIGEST_KEY), encoded.digest);
  await swapLink(version, join(directory, DATA_LINK));
  for (const key of [BUNDLE_KEY, BUNDLE_DIGEST_KEY]) await linkOnce(join(DATA_LINK, key), join(directory, key));
  await removeOldVersions(directory, version);
  return before === null ? 'created' : 'updated';
}

async function swapLink(target: string, link: string): Promise<void> {
  const temporary = `${link}_tmp`;
  await rm(temporary, { force: true });
  await symlink(target, temporary);
  await rename(temporary, link);
}

async function linkOnce(target: string, link: string): Promise<void> {
  const present = await lstat(link).catch(() => null);
  if (present === null) await symlink(target, link);
}

async function removeOldVersions(directory: string, current: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith('..') && name !== current && name !== DATA_LINK) await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function listBundles(root: string): Promise<WorkloadRef[]> {
  const found: WorkloadRef[] = [];
  for (const namespace of await readdir(root, { withFileTypes: true })) {
    if (!namespace.isDirectory()) continue;
    for (const workload of await readdir(join(root, namespace.name), { withFileTypes: true })) {
      if (workload.isDirectory()) found.push({ namespace: namespace.name, name: workload.name });
    }
  }
  return found;
}
