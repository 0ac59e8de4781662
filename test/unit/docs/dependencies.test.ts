/*
 * docs/dependencies.md names exactly the runtime dependencies of package.json.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import packageJson from '../../../package.json' with { type: 'json' };

describe('docs/dependencies.md', () => {
  it('has a line with every cell filled for each runtime dependency, and no other', () => {
    const text = readFileSync(new URL('../../../docs/dependencies.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([^`]+)` \|(.+)\|$/gm)];

    expect(rows.map(([, name]) => name)).to.deep.equal(Object.keys(packageJson.dependencies).toSorted());
    for (const [line, , cells = ''] of rows) {
      const filled = cells.split('|').map((cell) => cell.trim());
      expect(filled, line).to.have.length(4);
      expect(filled, line).to.not.include('');
    }
  });
});
