/*
 * Publishes bundles in a directory, laid out like mounted ConfigMap volumes: `<root>/<namespace>/<workload>/bundle.json`
 * through a `..data` symlink that one rename replaces, so that an agent reads it as it reads a volume and never sees half a
 * bundle. `sallyport run` uses it.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { BUNDLE_DIGEST_KEY, BUNDLE_KEY } from '../api/kube/names.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import type { WorkloadLedger } from '../status/workload-ledger.ts';
import type { Delivery, PublishResult } from './delivery.ts';

const DATA_LINK = '..data';

/** The directory of a workload's bundle below `root`: the one that its agent watches. */
export function bundleDirectory(root: string, workload: WorkloadRef): string {
  return join(root, workload.namespace, workload.kind, workload.name);
}

/** Where a directory delivery writes, and what it reports to. */
export interface DirectoryDeliveryOptions {
  /** Created when it does not exist; the delivery owns everything below it. One writer at a time. */
  readonly root: string;
  readonly ledger: WorkloadLedger;
}

/** A delivery whose ledger already knows the bundles that an earlier run left. It emits no events: no other process writes there. */
export async function createDirectoryDelivery({ root, ledger }: DirectoryDeliveryOptions): Promise<Delivery> {
  await mkdir(root, { recursive: true });
  for (const workload of await listBundles(root)) {
    const revision = await readRevision(bundleDirectory(root, workload));
    ledger.setPublished(workloadKey(workload), { workload, policies: new Map(), ...(revision === undefined ? {} : { revision }) });
  }
  return {
    publish: async (bundle) => {
      const { workload, digest: revision } = bundle;
      const result = await write(bundleDirectory(root, workload), bundle);
      ledger.setPublished(workloadKey(workload), { workload, revision, policies: new Map() });
      return result;
    },
    withdraw: async (workload) => {
      const key = workloadKey(workload);
      const existed = ledger.get(key)?.published !== undefined;
      await rm(bundleDirectory(root, workload), { recursive: true, force: true });
      ledger.setPublished(key, undefined);
      return existed;
    },
    subscribe: () => () => undefined,
  };
}

async function write(directory: string, encoded: EncodedBundle): Promise<PublishResult> {
  const before = await readRevision(directory);
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
  return before === undefined ? 'created' : 'updated';
}

async function readRevision(directory: string): Promise<string | undefined> {
  return readFile(join(directory, BUNDLE_DIGEST_KEY), 'utf8').catch(() => undefined);
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
  for (const namespace of await directoriesIn(root)) {
    for (const kind of await directoriesIn(join(root, namespace))) {
      for (const name of await directoriesIn(join(root, namespace, kind))) found.push({ namespace, kind, name });
    }
  }
  return found;
}

async function directoriesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
