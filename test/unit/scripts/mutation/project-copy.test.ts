import { existsSync, readFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Baseline } from '../../../../scripts/mutation/baseline.ts';
import { findMutants } from '../../../../scripts/mutation/find-mutants.ts';
import { digestsOf, ProjectCopy } from '../../../../scripts/mutation/project-copy.ts';
import type { Result } from '../../../../scripts/mutation/results.ts';
import { TestFiles } from '../../../../scripts/mutation/tests-of.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const SOURCE = 'export const one = 1;\nexport const two = 2;\nexport const three = () => { throw new Error("no"); };\n';
const FILES = {
  'package.json': '{ "type": "module" }',
  'src/a/a.ts': SOURCE,
  'test/unit/a/a.test.ts': "import { one } from '../../../src/a/a.ts';\nit('has one', () => { if (one !== 1) throw new Error(); });",
  'test/unit/a/broken.test.ts': "it('always fails', () => { throw new Error(); });",
};

/** Tries all mutants of `src/a/a.ts`. */
async function tryAll(directory: string): Promise<readonly Result[]> {
  const copy = new ProjectCopy(directory, new Baseline(join(directory, 'tests.jsonl')), new AbortController().signal);
  try {
    const results: Result[] = [];
    for (const mutant of findMutants('src/a/a.ts', SOURCE)) results.push(await copy.try(mutant));
    expect(readFileSync(join(copy.root, 'src/a/a.ts'), 'utf8')).to.equal(SOURCE);
    return results;
  } finally {
    copy.remove();
    expect(existsSync(copy.root)).to.equal(false);
  }
}

describe('a copy of the project', () => {
  it('notices a mutant by the first test that fails with it and passes without it', () =>
    withDirectory(FILES, async (directory) => {
      await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
      const [one, two, three] = await tryAll(directory);

      expect(one).to.deep.include({ outcome: 'killed', failure: 'has one' });
      expect(two).to.include({ outcome: 'survived' });
      expect(three, 'not covered').to.include({ outcome: 'survived' });
      expect(readFileSync(join(directory, 'src/a/a.ts'), 'utf8')).to.equal(SOURCE);
    }));

  it('stops when tests do not start without a mutant either', () =>
    withDirectory(FILES, async (directory) => {
      await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
      const copy = new ProjectCopy(directory, new Baseline(join(directory, 'tests.jsonl')), new AbortController().signal);
      try {
        const [mutant] = findMutants('src/a/a.ts', SOURCE);
        if (mutant === undefined) throw new Error('no mutant');
        await copy.try(mutant);
        await writeFile(join(copy.root, 'package.json'), '{');

        const error = await copy.try(mutant).catch((reason: unknown) => reason);

        expect(String(error)).to.match(/a\.test\.ts: no start without the mutant as well/);
        expect(readFileSync(join(copy.root, 'src/a/a.ts'), 'utf8')).to.equal(SOURCE);
      } finally {
        copy.remove();
      }
    }));

  it('stops when a test file cannot be loaded', () =>
    withDirectory({ ...FILES, 'test/unit/a/b.test.ts': "import '../../../src/a/a.ts';\nimport './missing.ts';" }, async (directory) => {
      await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));

      const error = await tryAll(directory).catch((reason: unknown) => reason);

      expect(String(error)).to.match(/b\.test\.ts does not start/);
    }));

  it('has digests that change with the source and with the tests', () =>
    withDirectory(FILES, async (directory) => {
      const before = digestsOf(directory, 'src/a/a.ts', new TestFiles(directory));
      await writeFile(join(directory, 'test/unit/a/b.test.ts'), "import '../../../src/a/a.ts';");
      const withTest = digestsOf(directory, 'src/a/a.ts', new TestFiles(directory));
      await writeFile(join(directory, 'src/a/a.ts'), `${SOURCE}//`);

      expect(withTest.source).to.equal(before.source);
      expect(withTest.tests).not.to.equal(before.tests);
      expect(digestsOf(directory, 'src/a/a.ts', new TestFiles(directory)).source).not.to.equal(before.source);
    }));
});
