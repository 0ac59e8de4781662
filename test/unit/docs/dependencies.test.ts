/*
 * docs/dependencies.md names exactly the libraries that the processes and the example use.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import build from '../../../dependencies/build/package.json' with { type: 'json' };
import start from '../../../dependencies/start/package.json' with { type: 'json' };

const BUNDLER = 'esbuild';

describe('docs/dependencies.md', () => {
  it('has a line with every cell filled for each runtime dependency, and no other', () => {
    const text = readFileSync(new URL('../../../docs/dependencies.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([^`]+)` \|(.+)\|$/gm)];
    const libraries = [...Object.keys(start.devDependencies), ...Object.keys(build.devDependencies)].filter((name) => name !== BUNDLER);

    expect(rows.map(([, name]) => name)).to.deep.equal(libraries.toSorted());
    for (const [line, , cells = ''] of rows) {
      const filled = cells.split('|').map((cell) => cell.trim());
      expect(filled, line).to.have.length(4);
      expect(filled, line).to.not.include('');
    }
  });
});
