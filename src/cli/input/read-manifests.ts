/*
 * Files of the command line in, Kubernetes objects out. In: paths of files and folders, or `-`. Out: every object with the
 * place it came from, and what could not be read. Called by the commands that look at manifests without a cluster.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isTestFile, type ManifestFinding, type ManifestObject, manifestError, parseManifests } from '../../state/manifests.ts';
import type { CommandContext } from '../command-context.ts';
import { createLocator, type Locate } from './locate-field.ts';
import { systemReason } from './system-reason.ts';

export interface ReadManifests {
  /** In the order of the command line, folders in byte order of names. */
  readonly objects: readonly ManifestObject[];
  /** Files that could not be read or parsed, and objects that are there twice; all with code SP_MANIFEST. */
  readonly findings: readonly ManifestFinding[];
  /** False when a file could not be read or parsed: nothing is known of its objects. */
  readonly isComplete: boolean;
  /** Text of each file by the name that origins use. */
  readonly textByFile: ReadonlyMap<string, string>;
  /** Where a field of one of the objects is. */
  readonly locate: Locate;
}

const MANIFEST_NAME = /^[^.].*\.(ya?ml|json)$/;
const STDIN_NAME = '<stdin>';

/**
 * Reads `paths`; a folder is read with everything below it that is named like a manifest, except what starts with a dot and tables of policy tests.
 *
 * @param onFile called before each file is read, with how many came before it
 */
export async function readManifests(
  paths: readonly string[],
  context: CommandContext,
  onFile: (file: string, done: number) => void = () => undefined,
): Promise<ReadManifests> {
  const objects: ManifestObject[] = [];
  const findings: ManifestFinding[] = [];
  const textByFile = new Map<string, string>();
  const hollow: ManifestFinding[] = [];
  for (const file of await listFiles(paths, context.cwd, { findings, hollow })) {
    if (textByFile.has(file)) continue;
    onFile(file, textByFile.size);
    const text = await readText(file, context, findings);
    if (text === undefined) continue;
    textByFile.set(file, text);
    const parsed = parseManifests(text, file);
    objects.push(...parsed.objects);
    findings.push(...parsed.findings);
  }
  return {
    objects,
    findings: [...findings, ...hollow, ...repeated(objects)],
    isComplete: findings.length === 0,
    textByFile,
    locate: createLocator(textByFile),
  };
}

/** One file's text, `-` for standard input. @throws the system's error */
export async function readInput(file: string, context: CommandContext): Promise<string> {
  const isStdin = file === '-' || file === STDIN_NAME;
  return withoutMark(await (isStdin ? context.readStdin() : readFile(resolve(context.cwd, file), 'utf8')));
}

/** `text` without the byte order mark that editors on Windows put before it, and that no parser of JSON takes. */
export function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

async function readText(file: string, context: CommandContext, findings: ManifestFinding[]): Promise<string | undefined> {
  try {
    return await readInput(file, context);
  } catch (error) {
    findings.push(unreadable(file, error));
    return undefined;
  }
}

/** Adds what cannot be read to `findings`, and folders without a manifest to `hollow`. */
async function listFiles(
  paths: readonly string[],
  cwd: string,
  { findings, hollow }: { readonly findings: ManifestFinding[]; readonly hollow: ManifestFinding[] },
): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (path === '-') {
      files.push(STDIN_NAME);
      continue;
    }
    try {
      const isFolder = (await stat(resolve(cwd, path))).isDirectory();
      const found = isFolder ? await manifestsBelow(cwd, path) : [path];
      if (found.length === 0) hollow.push(emptyFolder(path));
      files.push(...found);
    } catch (error) {
      findings.push(unreadable(path, error));
    }
  }
  return files;
}

async function manifestsBelow(cwd: string, folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  const entries = await readdir(resolve(cwd, folder), { withFileTypes: true });
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith('.')) found.push(...(await manifestsBelow(cwd, path)));
    else if (MANIFEST_NAME.test(entry.name) && !isTestFile(entry.name) && !entry.isDirectory()) found.push(path);
  }
  return found;
}

function repeated(objects: readonly ManifestObject[]): readonly ManifestFinding[] {
  const firstByKey = new Map<string, ManifestObject>();
  return objects.flatMap((item) => {
    const { apiVersion, kind, metadata } = item.object;
    const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    const name = `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`;
    const first = firstByKey.get(`${group} ${name}`);
    if (first === undefined) {
      firstByKey.set(`${group} ${name}`, item);
      return [];
    }
    return [manifestError(item.origin, `${name} is already defined in ${first.origin.file}:${first.origin.line}`)];
  });
}

/** Most probably another folder was meant, and a pipeline would look at nothing for ever. */
function emptyFolder(folder: string): ManifestFinding {
  const message = 'no manifest is in this folder: no name ends in .yaml, .yml or .json';
  return { ...manifestError({ file: folder, line: 1 }, message), severity: 'warning' };
}

function unreadable(file: string, error: unknown): ManifestFinding {
  return manifestError({ file, line: 1 }, `cannot be read: ${systemReason(error)}`);
}
