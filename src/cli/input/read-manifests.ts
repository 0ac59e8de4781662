/*
 * Reads the Kubernetes objects in the files and directories of the command line, with the place each came from.
 */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isBelow } from '../../regular-file.ts';
import {
  isKustomizationFile,
  isTestFile,
  type ManifestFinding,
  type ManifestObject,
  manifestError,
  parseManifests,
} from '../../state/manifests.ts';
import type { CommandContext } from '../context/command-context.ts';
import { errorReason } from './error-reason.ts';
import { createLocator, type Locate, type SyntaxTree } from './locate-field.ts';
import { MAX_BYTES, readInput, STDIN_NAME } from './read-file.ts';

/** The objects of all files, and what is wrong with the files. */
export interface ReadManifests {
  /** In the order of the command line; directories in byte order of names. */
  readonly objects: readonly ManifestObject[];
  /** Files that could not be read or parsed, directories without manifests, and duplicate objects; all with code SP_MANIFEST. */
  readonly findings: readonly ManifestFinding[];
  /** False when a file could not be read or parsed: its objects are unknown. */
  readonly isComplete: boolean;
  /** Text of each file by the file name that origins use. */
  readonly textByFile: ReadonlyMap<string, string>;
  /** Finds the position of a field of one of the objects. */
  readonly locate: Locate;
}

/** Characters of files whose syntax trees are kept, which take some hundred bytes for each. */
const MAX_KEPT = 500_000;

const MANIFEST_FILE = /^[^.].*\.(ya?ml|json)$/;

/**
 * Reads `paths`. A directory is read recursively: all files named like manifests, except names that start with a dot and tables
 * of policy tests. A link in a directory is followed if it leads to a file in that directory; any other is an error, because
 * the author of the directory must not choose what else is read.
 *
 * @param onFile called before each file is read, with the number of files read so far
 */
export async function readManifests(
  paths: readonly string[],
  context: CommandContext,
  onFile: (file: string, done: number) => void = () => undefined,
): Promise<ReadManifests> {
  const objects: ManifestObject[] = [];
  const errors: ManifestFinding[] = [];
  const warnings: ManifestFinding[] = [];
  const kustomizations: string[] = [];
  const textByFile = new Map<string, string>();
  const kept = new Map<string, SyntaxTree>();
  let length = 0;
  for (const file of await listFiles(paths, context.cwd, { errors, warnings, kustomizations })) {
    if (textByFile.has(file)) continue;
    onFile(file, textByFile.size);
    const text = await readText(file, context, errors);
    if (text === undefined) continue;
    length += text.length;
    if (length > MAX_BYTES) {
      errors.push(unreadableFile(file, new Error(`the files are larger than ${MAX_BYTES / 1024 / 1024} MiB together`)));
      break;
    }
    textByFile.set(file, text);
    const parsed = parseManifests(text, file, (tree) => length <= MAX_KEPT && kept.set(file, tree));
    objects.push(...parsed.objects);
    errors.push(...parsed.findings);
  }
  return {
    objects,
    findings: [...errors, ...warnings, ...duplicates(objects), ...notRendered(kustomizations, objects, errors)],
    isComplete: errors.length === 0,
    textByFile,
    locate: createLocator(textByFile, kept),
  };
}

async function readText(file: string, context: CommandContext, errors: ManifestFinding[]): Promise<string | undefined> {
  try {
    return await readInput(file, context);
  } catch (error) {
    errors.push(unreadableFile(file, error));
    return undefined;
  }
}

interface Listing {
  readonly errors: ManifestFinding[];
  readonly warnings: ManifestFinding[];
  /** Files of Kustomize, which name the directory that it builds. */
  readonly kustomizations: string[];
}

/** Adds paths that cannot be read to `errors`, and directories without a manifest to `warnings`. */
async function listFiles(paths: readonly string[], cwd: string, { errors, warnings, kustomizations }: Listing): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (path === '-') {
      files.push(STDIN_NAME);
      continue;
    }
    try {
      const isDirectory = (await stat(resolve(cwd, path))).isDirectory();
      const found = isDirectory ? await manifestsBelow({ cwd, root: path, directory: path }, { errors, kustomizations }) : [path];
      if (found.length === 0) warnings.push(emptyDirectory(path));
      files.push(...found);
    } catch (error) {
      errors.push(unreadableFile(path, error));
    }
  }
  return files;
}

/** Where to look for manifests. */
interface Place {
  readonly cwd: string;
  /** The directory of the command line. */
  readonly root: string;
  /** This directory, or one below it. */
  readonly directory: string;
}

async function manifestsBelow(
  place: Place,
  into: { readonly errors: ManifestFinding[]; readonly kustomizations: string[] },
): Promise<readonly string[]> {
  const { cwd, root, directory } = place;
  const found: string[] = [];
  const entries = await readdir(resolve(cwd, directory), { withFileTypes: true });
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (isKustomizationFile(entry.name) && entry.isFile()) into.kustomizations.push(path);
    if (entry.isDirectory() && !entry.name.startsWith('.')) found.push(...(await manifestsBelow({ ...place, directory: path }, into)));
    if (!MANIFEST_FILE.test(entry.name) || isTestFile(entry.name) || entry.isDirectory()) continue;
    const fault = entry.isSymbolicLink() ? await linkFault(resolve(cwd, root), resolve(cwd, path)) : undefined;
    if (fault === undefined) found.push(path);
    else into.errors.push(unreadableFile(path, fault));
  }
  return found;
}

/** What a directory of Kustomize deploys is known only once it is rendered, if its files are patches and references rather than objects. */
function notRendered(
  kustomizations: readonly string[],
  objects: readonly ManifestObject[],
  errors: readonly ManifestFinding[],
): readonly ManifestFinding[] {
  const directoriesOf = (items: readonly { readonly origin: ManifestObject['origin'] }[]): ReadonlySet<string> =>
    new Set(items.map(({ origin }) => dirname(origin.file)));
  const [withObjects, withErrors] = [directoriesOf(objects), directoriesOf(errors)];
  const [first, ...more] = kustomizations.filter((file) => !withObjects.has(dirname(file)) || withErrors.has(dirname(file)));
  if (first === undefined) return [];
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  const message = `Kustomize builds this directory${others} from other files: render it first`;
  const hint = `kustomize build ${dirname(first)} | sallyport check -`;
  return [{ ...manifestError({ file: first, line: 1 }, message, hint), severity: 'info' }];
}

function duplicates(objects: readonly ManifestObject[]): readonly ManifestFinding[] {
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

async function linkFault(root: string, path: string): Promise<unknown> {
  try {
    return (await isBelow(root, path)) ? undefined : new Error('it is a link to a file outside of the directory; name that file itself');
  } catch (error) {
    return error;
  }
}

/** A warning, because the path is probably a mistake, and a pipeline would go on checking nothing. */
function emptyDirectory(directory: string): ManifestFinding {
  const message = 'the directory has no manifest: no file name ends in .yaml, .yml or .json';
  return { ...manifestError({ file: directory, line: 1 }, message), severity: 'warning' };
}

function unreadableFile(file: string, error: unknown): ManifestFinding {
  return manifestError({ file, line: 1 }, `cannot be read: ${errorReason(error)}`);
}
