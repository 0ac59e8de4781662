/*
 * `npm run release -- --version X --out DIRECTORY`: every file of a release, reproducible. `--fold` instead prepares the commit to release:
 * CHANGELOG.md, package.json and Chart.yaml. `--update-base` pins the newest Debian packages. See docs/release.md.
 */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pinNewest } from './release/debian.ts';
import { foldTree } from './release/fold-tree.ts';
import { makeRelease } from './release/make-release.ts';
import { NO_REGISTRY } from './release/manifests.ts';
import { readSource } from './release/source.ts';

const EX_USAGE = 64;
/** @see https://semver.org, without build metadata, which tags of images cannot have */
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const REGISTRY = /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/;
const REPOSITORY = /^https:\/\/[^\s/]+(\/[^\s/]+)+$/;

class UsageError extends Error {}

function options() {
  try {
    return parseArgs({
      options: {
        version: { type: 'string' },
        out: { type: 'string' },
        registry: { type: 'string', default: NO_REGISTRY },
        repository: { type: 'string', default: 'https://repository.invalid/sallyport' },
        'allow-dirty': { type: 'boolean', default: false },
        fold: { type: 'boolean', default: false },
        'update-base': { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @throws UsageError naming the option */
function required(name: string, value: string | undefined, pattern: RegExp, meaning: string): string {
  if (value === undefined) throw new UsageError(`--${name} is missing: ${meaning}`);
  if (!pattern.test(value)) throw new UsageError(`--${name}: "${value}" is not ${meaning}`);
  return value;
}

async function emptyDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  if ((await readdir(path)).length > 0) throw new UsageError(`--out: ${path} is not empty`);
  return path;
}

async function main(): Promise<void> {
  const values = options();
  if (values['update-base']) {
    await pinNewest();
    return;
  }
  const version = required('version', values.version, VERSION, 'a version such as 1.2.3');
  const source = await readSource();
  if (values.fold) {
    await foldTree(version, source.created);
    return;
  }
  const registry = required('registry', values.registry, REGISTRY, 'a registry with a path, such as registry.example/team');
  const repository = required('repository', values.repository, REPOSITORY, 'the URL of a repository');
  if (source.isDirty && !values['allow-dirty']) {
    throw new UsageError('files differ from the commit; commit them, or make a release for a test with --allow-dirty');
  }
  const out = await emptyDirectory(resolve(required('out', values.out, /./, 'a new directory')));
  const say = (what: string): void => void process.stderr.write(`${what} …\n`);
  const files = await makeRelease(out, { version, registry, repository, source }, say);
  for (const file of files) {
    if (file.startsWith('images/')) continue;
    process.stdout.write(`${((await stat(join(out, file))).size / 1024).toFixed(0).padStart(8)} KiB  ${file}\n`);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`release: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? EX_USAGE : 1;
}
