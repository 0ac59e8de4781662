/*
 * Digests of the bundles of all recorded cases, by directory: `node test/conformance/digests.ts [--tree DIR] [--cases]`. Two source
 * trees compile the same bundles, byte for byte, exactly if they print the same. `--tree` names the source tree whose compiler is
 * used, `--cases` prints one line for each case instead.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as Encode from '../../src/bundle/encode.ts';
import type * as Build from './build-case.ts';
import { readCases } from './case-file.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Directories with recorded cases, relative to the project; those of `../shared` need not be there. */
export const DIRECTORIES: readonly string[] = [
  ...['cases', 'random', 'found'].map((name) => `test/conformance/${name}`),
  ...['cases', 'random', 'found', 'found-proxy', 'istio'].map((name) => `../shared/conformance/${name}`),
];

/** What the cases of one directory compile to. */
export interface DirectoryDigest {
  readonly cases: number;
  /** `sha256:` + 64 hex digits over the lines `file digest` of all cases, in the order of their files. */
  readonly digest: string;
}

/** One line for each case of a directory: its file, and the digest of its bundle. @throws Error when a case cannot be compiled */
export async function caseDigests(directory: string, tree: string = ROOT): Promise<readonly string[]> {
  const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(join(tree, path)).href)) as T;
  const { buildCase } = await load<typeof Build>('test/conformance/build-case.ts');
  const { encodeBundle } = await load<typeof Encode>('src/bundle/encode.ts');
  return readCases(join(ROOT, directory)).map((recorded) => `${recorded.file} ${encodeBundle(buildCase(recorded).bundle).digest}`);
}

/** The digest of a directory; `undefined` when it is not there. */
export async function directoryDigest(directory: string, tree: string = ROOT): Promise<DirectoryDigest | undefined> {
  if (!existsSync(join(ROOT, directory))) return undefined;
  const lines = await caseDigests(directory, tree);
  const digest = createHash('sha256').update(lines.join('\n')).digest('hex');
  return { cases: lines.length, digest: `sha256:${digest}` };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tree: { type: 'string', default: ROOT }, cases: { type: 'boolean', default: false } } });
  const tree = resolve(values.tree);
  const digests: Record<string, DirectoryDigest> = {};
  for (const directory of DIRECTORIES) {
    if (values.cases && existsSync(join(ROOT, directory))) {
      for (const line of await caseDigests(directory, tree)) process.stdout.write(`${directory}/${line}\n`);
    }
    const digest = await directoryDigest(directory, tree);
    if (digest !== undefined) digests[directory] = digest;
  }
  if (!values.cases) process.stdout.write(`${JSON.stringify(digests, undefined, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) await main();
