/*
 * Follows a directory of manifests, which replaces the cluster in `sallyport run DIR`. A file that is unreadable, only partly
 * written or not YAML keeps its last good objects, so that an edit in progress never removes a policy.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchDirectories } from '../fs-watch/watch-directories.ts';
import { isBelow, readRegularFile } from '../regular-file.ts';
import { isTestFile, type ManifestFinding, type ManifestObject, manifestError, parseManifests } from './manifests.ts';

/** The content of the directory: objects in byte order of file names, then in order of the file. */
export interface DirectorySnapshot {
  readonly objects: readonly ManifestObject[];
  /** Errors of files; policies are validated elsewhere. */
  readonly findings: readonly ManifestFinding[];
}

/** What to follow. */
export interface DirectoryOptions {
  /** Followed with its subdirectories. */
  readonly directory: string;
  /** Called after the first read and after each change. */
  readonly onSnapshot: (snapshot: DirectorySnapshot) => void;
  /** A file counts as written when it did not change for this time in milliseconds; default 40. */
  readonly settleMs?: number;
  /** Time between two reads when the file system reports no change, in milliseconds; default 1000. */
  readonly pollMs?: number;
}

interface LoadedFile {
  readonly signature: string;
  readonly bytes: number;
  readonly objects: readonly ManifestObject[];
  readonly findings: readonly ManifestFinding[];
}

const MAX_FILE_BYTES = 4 * 1024 * 1024;
/** Of all files together. */
const MAX_BYTES = 64 * 1024 * 1024;
const MANIFEST_NAME = /^[^.].*\.(ya?ml|json)$/;

/**
 * Reads the directory, calls `onSnapshot`, and follows changes until `signal` aborts.
 *
 * @returns when aborted
 * @throws Error of the first read of the directory itself: it does not exist or is not readable
 */
export async function followDirectory(options: DirectoryOptions, signal: AbortSignal): Promise<void> {
  const files = new Map<string, LoadedFile>();
  const pending = new Map<string, string>();
  const { directory, settleMs = 40, pollMs = 1000 } = options;
  const onChange = async (): Promise<void> => {
    if (pending.size === 0) await sleep(settleMs, undefined, { signal }).catch(() => {});
    const isChanged = await scan(directory, files, pending).catch(() => false);
    if (isChanged) options.onSnapshot(snapshotOf(files));
  };
  await scan(directory, files, null);
  options.onSnapshot(snapshotOf(files));
  const pollOrSettleMs = (): number => (pending.size > 0 ? settleMs : pollMs);
  await watchDirectories({ directories: [directory], recursive: true, pollMs: pollOrSettleMs, keepAlive: true, onChange }, signal);
}

/** Reads files that changed and reports whether there were any. With `pending`, a file is read once two scans in a row found the same signature. */
async function scan(directory: string, files: Map<string, LoadedFile>, pending: Map<string, string> | null): Promise<boolean> {
  const found = await listManifests(directory);
  let changed = false;
  for (const file of files.keys()) {
    if (found.has(file)) continue;
    files.delete(file);
    changed = true;
  }
  for (const [file, signature] of found) {
    if (files.get(file)?.signature === signature) {
      pending?.delete(file);
    } else if (pending !== null && pending.get(file) !== signature) {
      pending.set(file, signature);
    } else {
      pending?.delete(file);
      const before = files.get(file);
      const others = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0) - (before?.bytes ?? 0);
      files.set(file, await load({ directory, file, signature, left: MAX_BYTES - others }, before));
      changed = true;
    }
  }
  return changed;
}

async function listManifests(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => MANIFEST_NAME.test(entry.name) && !isTestFile(entry.name))
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((name) => !name.split('/').some((part) => part.startsWith('.')))
    .sort();
  const found = new Map<string, string>();
  for (const name of names) {
    const facts = await stat(join(directory, name)).catch(() => null);
    if (facts !== null && !facts.isDirectory()) found.set(name, `${facts.ino}:${facts.size}:${facts.mtimeMs}`);
  }
  return found;
}

/** A file to read. */
interface FoundFile {
  readonly directory: string;
  readonly file: string;
  readonly signature: string;
  /** Bytes that all files may still have. */
  readonly left: number;
}

async function load({ directory, file, signature, left }: FoundFile, before: LoadedFile | undefined): Promise<LoadedFile> {
  const path = join(directory, file);
  const kept = before?.objects ?? [];
  const refuse = (reason: string, hint?: string): LoadedFile => ({
    signature,
    bytes: before?.bytes ?? 0,
    objects: kept,
    findings: [manifestError({ file, line: 1 }, reason, hint)],
  });
  let text: string;
  try {
    if (!(await isBelow(directory, path))) return refuse('it is a link to a file outside of the directory');
    text = await readRegularFile(path, MAX_FILE_BYTES);
  } catch (error) {
    return refuse(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > left) return refuse(`the files are larger than ${MAX_BYTES / 1024 / 1024} MiB together`);
  const parsed = parseManifests(text, file);
  if (parsed.findings.length > 0) return { signature, bytes, objects: kept, findings: parsed.findings };
  if (parsed.objects.length === 0 && kept.length > 0) {
    return refuse('the file is empty; its last objects stay active', 'delete the file to remove its objects');
  }
  return { signature, bytes, objects: parsed.objects, findings: [] };
}

function snapshotOf(files: ReadonlyMap<string, LoadedFile>): DirectorySnapshot {
  const objects: ManifestObject[] = [];
  const findings: ManifestFinding[] = [];
  const seen = new Map<string, ManifestObject>();
  for (const file of [...files.keys()].sort()) {
    const loaded = files.get(file);
    findings.push(...(loaded?.findings ?? []));
    for (const item of loaded?.objects ?? []) {
      const { kind, metadata } = item.object;
      const key = `${kind}/${metadata.namespace ?? 'default'}/${metadata.name}`;
      const first = seen.get(key);
      if (first === undefined) {
        seen.set(key, item);
        objects.push(item);
      } else {
        findings.push(
          manifestError(item.origin, `${key} is already defined in ${first.origin.file}:${first.origin.line}; this one is ignored`),
        );
      }
    }
  }
  return { objects, findings };
}
