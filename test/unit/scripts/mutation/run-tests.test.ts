import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { testsPass } from '../../../../scripts/mutation/run-tests.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const TESTS = {
  'good.test.mjs': "it('passes', () => {});",
  'bad.test.mjs': "it('fails', () => { throw new Error('no'); });",
  'endless.test.mjs': "it('hangs', () => { for (;;) {} });",
};

describe('testsPass', () => {
  for (const [files, timeoutMs, expected] of [
    [['good.test.mjs'], 60_000, true],
    [['good.test.mjs', 'bad.test.mjs'], 60_000, false],
    [['missing.test.mjs'], 60_000, false],
    [['endless.test.mjs'], 500, false],
  ] as const) {
    it(`is ${expected} for ${files.join(' and ')}`, () =>
      withDirectory(TESTS, async (directory) => {
        await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
        expect(await testsPass(directory, files, timeoutMs)).to.equal(expected);
      }));
  }
});
