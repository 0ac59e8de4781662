import { join, normalize } from 'node:path';
import { expect } from 'chai';
import { readImports } from '../../../scripts/dependencies/read-imports.ts';
import { readSources } from '../../../scripts/dependencies/read-sources.ts';

const sources = readSources(join(import.meta.dirname, '../../..'));

/** npm packages that loading `entry` loads, too: reached by imports that are neither types nor `import()`. */
function packagesOf(entry: string): readonly string[] {
  const seen = new Set([entry]);
  const packages = new Set<string>();
  for (const path of seen) {
    for (const { specifier = '', isType, text } of readImports(path, sources.get(path) ?? '')) {
      if (isType || /^import\s*\(/.test(text) || specifier.startsWith('node:')) continue;
      if (specifier.startsWith('.')) seen.add(normalize(join(path, '..', specifier)));
      else packages.add(specifier);
    }
  }
  return [...packages].toSorted();
}

describe('what the CLI loads', () => {
  it('loads the parser of the command line only, before it knows the command', () => {
    expect(packagesOf('src/main/cli.ts')).to.deep.equal(['commander']);
  });

  it('loads no Kubernetes client with any command', () => {
    const commands = [...sources.keys()].filter((path) => path.startsWith('src/cli/commands/'));
    expect(commands.length).to.be.greaterThan(10);
    for (const path of commands) expect(packagesOf(path), path).not.to.include('@kubernetes/client-node');
  });
});
