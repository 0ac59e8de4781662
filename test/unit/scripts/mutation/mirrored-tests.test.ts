import { expect } from 'chai';
import { mirroredTests } from '../../../../scripts/mutation/mirrored-tests.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

describe('mirroredTests', () => {
  const files = { 'test/unit/jwt/a.test.ts': '', 'test/unit/jwt/b.test.ts': '', 'test/unit/jwt/tokens.ts': '', 'test/unit/c.test.ts': '' };
  const cases: readonly (readonly [path: string, groups: readonly (readonly string[])[]])[] = [
    ['src/jwt/a.ts', [['test/unit/jwt/a.test.ts'], ['test/unit/jwt/b.test.ts']]],
    ['src/jwt/other.ts', [['test/unit/jwt/a.test.ts', 'test/unit/jwt/b.test.ts']]],
    ['src/c.ts', [['test/unit/c.test.ts']]],
    ['src/none/a.ts', []],
  ];
  for (const [path, groups] of cases) {
    it(`finds ${groups.length} groups for ${path}`, () =>
      withDirectory(files, async (directory) => {
        expect(mirroredTests(directory, path)).to.deep.equal(groups);
      }));
  }
});
