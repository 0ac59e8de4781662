/* The page about incidents names tests: each must be there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '../../..');
const rows = readFileSync(join(root, 'docs/explain/incidents.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2);

describe('docs/explain/incidents.md', () => {
  it('names tests that are there, for every incident', () => {
    expect(rows.length).to.be.greaterThan(20);
    for (const row of rows) {
      const named = [...row.matchAll(/`((?:unit|integration)\/[^`]+)` ((?:"[^"]+"(?:, )?)+)/g)];
      expect(named, row).not.to.deep.equal([]);
      for (const [, file = '', names = ''] of named) {
        const text = readFileSync(join(root, 'test', file), 'utf8');
        for (const [, name = ''] of names.matchAll(/"([^"]+)"/g)) expect(text.includes(name), `${file}: ${name}`).to.equal(true);
      }
    }
  });
});
