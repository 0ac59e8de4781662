/*
 * Publishes signed bundles in a directory, laid out like mounted volumes: the files of slot 0 are in
 * `<root>/<namespace>/<kind>/<workload>/0`, through a `..data` symlink that one rename replaces, so that an agent reads it as it reads a
 * volume and never sees half a bundle. `sallyport run` uses it.
 */
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type WorkloadRef, workloadKey } from '../api/kube/keys.ts';
import { SLOT_KEYS_KEY, SLOT_PART_KEY, SLOT_STATEMENT_KEY } from '../api/kube/names.ts';
import type { EncodedBundle } from '../bundle/bundle.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { toStoredForm } from '../bundle/slots.ts';
import { BUNDLE_STATEMENT, type Statement, verifyStatement } from '../bundle/statement.ts';
import type { Clock } from '../clock.ts';
import { RefusedError } from '../errors.ts';
import type { WorkloadLedger } from '../status/workload-ledger.ts';
import type { Delivery, PublishResult } from './delivery.ts';

const DATA_LINK = '..data';
const SLOT = '0';

/** The directory of a workload's bundle below `root`: the one that its agent watches. */
export function bundleDirectory(root: string, workload: WorkloadRef): string {
  return join(root, workload.namespace, workload.kind, workload.name);
}

/** Where a directory delivery writes, and what it reports to. */
export interface DirectoryDeliveryOptions {
  /** Created when it does not exist; the delivery owns everything below it. One writer at a time. */
  readonly root: string;
  readonly ledger: WorkloadLedger;
  /** Undefined: nothing can be signed. */
  readonly signer: () => Signer | undefined;
  readonly clock: Clock;
}

/** A delivery whose ledger already knows the bundles that an earlier run left. It emits no events: no other process writes there. */
export async function createDirectoryDelivery({ root, ledger, signer, clock }: DirectoryDeliveryOptions): Promise<Delivery> {
  await mkdir(root, { recursive: true });
  for (const workload of await listBundles(root)) {
    const revision = (await readStatement(bundleDirectory(root, workload), { workload, signer: signer() }))?.digest;
    ledger.setPublished(workloadKey(workload), { workload, policies: new Map(), ...(revision === undefined ? {} : { revision }) });
  }
  return {
    publish: async (bundle) => {
      const { workload, digest: revision } = bundle;
      const current = signer();
      if (current === undefined) throw new RefusedError('SP_KEYS_MISSING', 'there are no signing keys, so nothing is published');
      const result = await write(bundleDirectory(root, workload), bundle, { signer: current, nowMs: clock.wallMs() });
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

interface Signing {
  readonly signer: Signer;
  readonly nowMs: number;
}

async function write(directory: string, { workload, json, digest }: EncodedBundle, { signer, nowMs }: Signing): Promise<PublishResult> {
  const before = await readStatement(directory, { workload, signer });
  const keys = await readText(directory, SLOT_KEYS_KEY);
  if (before?.digest === digest && keys === signer.keys.lines) return 'unchanged';
  // One directory is not limited like a ConfigMap.
  const { contents, ...stored } = toStoredForm(json, 1, Number.POSITIVE_INFINITY);
  const number = nextNumber(before?.number ?? 0, nowMs);
  const { namespace, kind, name } = workload;
  const jws = signer.sign({ schema: BUNDLE_STATEMENT, namespace, workload: { kind, name }, number, ...stored });
  const version = `..${number}`;
  const target = join(directory, version, SLOT);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await writeFile(join(target, SLOT_STATEMENT_KEY), jws);
  await writeFile(join(target, SLOT_KEYS_KEY), signer.keys.lines);
  await writeFile(join(target, SLOT_PART_KEY), Buffer.concat(contents));
  await swapLink(version, join(directory, DATA_LINK));
  await linkOnce(join(DATA_LINK, SLOT), join(directory, SLOT));
  await removeOldVersions(directory, version);
  return before === undefined ? 'created' : 'updated';
}

/** The statement of a published bundle; undefined: our keys signed nothing there. */
async function readStatement(
  directory: string,
  { workload, signer }: { readonly workload: WorkloadRef; readonly signer: Signer | undefined },
): Promise<Statement | undefined> {
  if (signer === undefined) return undefined;
  const { cluster, keys } = signer;
  const { namespace, kind, name } = workload;
  try {
    const jws = await readText(directory, SLOT_STATEMENT_KEY);
    return verifyStatement(BUNDLE_STATEMENT, jws, { cluster, namespace, workload: { kind, name }, keys, nowMs: undefined });
  } catch (error) {
    if (error instanceof RefusedError) return undefined;
    throw error;
  }
}

async function readText(directory: string, file: string): Promise<string> {
  return readFile(join(directory, SLOT, file), 'utf8').catch(() => '');
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
