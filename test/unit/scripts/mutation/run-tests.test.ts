import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { runTests } from '../../../../scripts/mutation/run-tests.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const TESTS = {
  'good.test.mjs': "it('passes', () => {});",
  'bad.test.mjs':
    "describe('it', () => { it('fails', () => { throw new Error('no'); }); it('fails, too', () => { throw new Error('no'); }); });",
  'endless.test.mjs': "it('hangs', () => { for (;;) {} });",
  'broken.test.mjs': "throw new Error('no');",
};

describe('a run of tests', () => {
  for (const [files, timeoutMs, failure] of [
    [['good.test.mjs'], 60_000, undefined],
    [['good.test.mjs', 'bad.test.mjs'], 60_000, 'it fails'],
    [['broken.test.mjs'], 60_000, 'no start'],
    [['missing.test.mjs'], 60_000, 'no start'],
    [['endless.test.mjs'], 500, 'no end'],
  ] as const) {
    it(`ends with "${failure}" for ${files.join(' and ')}`, () =>
      withDirectory(TESTS, async (directory) => {
        await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
        expect((await runTests(directory, files, { timeoutMs, signal: new AbortController().signal })).failure).to.equal(failure);
      }));
  }

  it('ends when it is aborted', () =>
    withDirectory(TESTS, async (directory) => {
      await symlink(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
      const stop = new AbortController();
      const run = runTests(directory, ['endless.test.mjs'], { timeoutMs: 60_000, signal: stop.signal });
      stop.abort();
      expect((await run).failure).to.equal('no end');
    }));
});
