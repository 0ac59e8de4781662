/* Every command names an unreadable path as the user wrote it. */
import { expect } from 'chai';
import { runCommand } from '../../support/cli-context.ts';
import { withDirectory } from '../../support/temporary-directory.ts';

const FILES = { 'p/w.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: foo }\nspec: { template: {} }\n' };
const CALLS: readonly string[] = [
  'check nope',
  'check p --config nope',
  'compile nope',
  'explain nope --url /',
  'explain p --request nope',
  'explain p --har nope',
  'explain p --jwks nope --url /',
  'test nope',
  'diff nope p --generate 1',
  'diff p p --requests nope',
  'inject --trust-anchor nope -f p',
  'run nope',
];

describe('a path that does not exist', () => {
  for (const call of CALLS) {
    it(`is named as written in the error of: ${call}`, async () => {
      const { exitCode, stdout, stderr } = await withDirectory(FILES, (cwd) => runCommand(call.split(' '), { cwd }));

      expect(exitCode).to.equal(65);
      expect(stdout + stderr)
        .to.match(/\bnope:.*no such file or directory( \[SP_MANIFEST\])?$/m)
        .and.not.include('/nope')
        .and.not.include('ENOENT');
    });
  }
});

describe('a directory without a manifest', () => {
  it('is a warning', async () => {
    const files = { 'p/readme.md': '', 'p/.hidden/a.yaml': '' };
    const { exitCode, stdout } = await withDirectory(files, (cwd) => runCommand(['check', 'p'], { cwd }));
    const strict = await withDirectory(files, (cwd) => runCommand(['check', '--fail-on', 'warning', 'p'], { cwd }));

    expect([exitCode, strict.exitCode]).to.deep.equal([0, 79]);
    expect(stdout).to.include('the directory has no manifest');
  });
});
