/*
 * The workspaces of `dependencies` list what the code imports, each task finds what it needs in the workspaces that it installs, and
 * package-lock.json has a hash of every package.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { build } from 'esbuild';
import { readImports } from '../../../../scripts/dependencies/read-imports.ts';
import { readSources } from '../../../../scripts/dependencies/read-sources.ts';

const root = join(import.meta.dirname, '../../../..');
/** Packages that are run by name, or that a tool or a library finds by itself. */
const TOOLS = /^(@biomejs\/biome|@types\/.+|ajv-formats-draft2019|c8|knip|mocha|oxlint|oxlint-tsgolint|typescript)$/;
const workspaces = readdirSync(join(root, 'dependencies'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function manifestOf(directory: string): Manifest {
  return JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8')) as Manifest;
}

function packagesOf(...names: readonly string[]): readonly string[] {
  return names.flatMap((name) => Object.keys(manifestOf(`dependencies/${name}`).devDependencies ?? {}));
}

function nameOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Names of the npm packages that the files of a directory import, with one file that does. */
function importedBy(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [path, source] of readSources(root, directory)) {
    for (const { specifier = '.' } of readImports(path, source)) {
      if (!/^[@a-z]/.test(specifier) || isBuiltin(specifier)) continue;
      found.set(nameOf(specifier), path);
    }
  }
  return found;
}

describe('workspaces of dependencies', () => {
  it('list each package once, with an exact version', () => {
    const all = packagesOf(...workspaces);

    expect(all.length).to.equal(new Set(all).size);
    for (const name of workspaces) {
      const { devDependencies, optionalDependencies } = manifestOf(`dependencies/${name}`);
      for (const [dependency, version] of Object.entries({ ...devDependencies, ...optionalDependencies })) {
        expect(version, dependency).to.match(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      }
    }
  });

  it('list what the code imports and no more', () => {
    const imported = ['src', 'scripts', 'test', 'examples'].map(importedBy).flatMap((found) => [...found]);
    const listed = packagesOf(...workspaces);

    expect(imported.filter(([name]) => !listed.includes(name))).to.deep.equal([]);
    expect(listed.filter((name) => !TOOLS.test(name) && !imported.some(([used]) => used === name))).to.deep.equal([]);
  });

  it('give src no more than the workspaces that npm run build needs', () => {
    const listed = packagesOf('start', 'build');

    expect([...importedBy('src')].filter(([name]) => !listed.includes(name))).to.deep.equal([]);
  });

  it('give npm start what it loads', async () => {
    const { metafile } = await build({
      entryPoints: [join(root, 'examples/jwt-task/demo.ts'), join(root, 'examples/jwt-task/make-tokens.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      metafile: true,
      write: false,
      outdir: 'unused',
      logLevel: 'silent',
    });
    const loaded = Object.values(metafile.inputs).flatMap(({ imports }) =>
      imports.filter(({ external }) => external).map(({ path }) => path),
    );
    const names = new Set(loaded.filter((path) => !isBuiltin(path)).map(nameOf));

    expect([...names].toSorted()).to.deep.equal(packagesOf('start').toSorted());
  });

  it('leave the published package without dependencies', () => {
    expect(manifestOf('.')).to.not.have.any.keys('dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies');
  });

  it('have a hash of every package in package-lock.json, and one version of Node.js for all platforms', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly link?: boolean; readonly version?: string }>>;
    };
    const installed = Object.entries(packages).filter(([path, { link }]) => path.startsWith('node_modules/') && link !== true);
    const binaries = installed.filter(([path]) => /^node_modules\/node-(bin-)?(darwin|linux)-/.test(path));

    expect(installed.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true).map(([path]) => path)).to.deep.equal([]);
    expect(binaries.map(([path]) => path)).to.have.length(4);
    expect(new Set(binaries.map(([, { version }]) => version))).to.have.length(1);
  });
});
