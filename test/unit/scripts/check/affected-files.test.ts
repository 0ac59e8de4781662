import { expect } from 'chai';
import { affectedFiles } from '../../../../scripts/check/affected-files.ts';

const sources = new Map([
  ['src/a.ts', ''],
  ['src/b.ts', "import type { A } from './a.ts';"],
  ['src/in/c.ts', "export * from '../b.ts';"],
  ['test/d.ts', "await import('../src/in/c.ts');"],
  ['src/other.ts', "import 'node:fs';"],
]);
const before = { 'src/a.ts': '1', 'src/b.ts': '1', 'src/in/c.ts': '1', 'test/d.ts': '1', 'src/other.ts': '1' };

describe('files that a change affects', () => {
  it('are an empty list when nothing changed', () => {
    expect(affectedFiles(sources, before, before)).to.deep.equal([]);
  });

  it('are the changed file and all that import it, directly or through others', () => {
    expect(affectedFiles(sources, before, { ...before, 'src/a.ts': '2' })).to.deep.equal([
      'src/a.ts',
      'src/b.ts',
      'src/in/c.ts',
      'test/d.ts',
    ]);
    expect(affectedFiles(sources, before, { ...before, 'src/other.ts': '2' })).to.deep.equal(['src/other.ts']);
  });

  it('include the importers of a deleted file, and a new file', () => {
    expect(affectedFiles(sources, { ...before, 'src/gone.ts': '1' }, before)).to.deep.equal([]);
    const { 'src/in/c.ts': _, ...without } = before;
    expect(affectedFiles(sources, without, before)).to.deep.equal(['src/in/c.ts', 'test/d.ts']);
  });
});
