import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { findViolations } from '../../../scripts/dependencies/find-violations.ts';
import { readSources } from '../../../scripts/dependencies/read-sources.ts';
import { architecturePage } from '../../../scripts/reference/architecture-page.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');

describe('docs/architecture.md', () => {
  it('states the dependency rule that every import of src follows', () => {
    const messages = findViolations(readSources(root)).map(({ message }) => message);

    expect(messages.join('\n'), 'allow it in scripts/dependencies/allowed-imports.ts when the import is right').to.equal('');
  });

  it('shows the table of the dependency rule', () => {
    expect(architecturePage(), 'run npm run gen').to.equal(page);
  });

  it('names files that exist', () => {
    const [handWritten = ''] = page.split('<!-- packages: begin');
    const named = [...handWritten.matchAll(/[a-z0-9][a-z0-9/.-]*\.ts\b/g)].map(([path]) => path);
    expect(named.length).to.be.greaterThan(30);
    expect(named.filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, 'src', path)))).to.deep.equal([]);
  });
});
