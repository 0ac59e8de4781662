import { expect } from 'chai';
import { testsOf } from '../../../../scripts/mutation/tests-of.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

describe('the tests of a source file', () => {
  const files = {
    'test/unit/jwt/a.test.ts': '',
    'test/unit/jwt/b.test.ts': '',
    'test/unit/jwt/tokens.ts': '',
    'test/unit/jwt/deep/c.test.ts': '',
    'test/unit/hostile/tokens.test.ts': "import { a } from '../../../src/jwt/a.ts';",
    'test/property/d.test.ts': "import { d } from '../../src/d.ts';",
  };
  const ofJwt = (name: string): string => `test/unit/jwt/${name}.test.ts`;
  const cases: readonly (readonly [path: string, groups: readonly (readonly string[])[]])[] = [
    ['src/jwt/a.ts', [[ofJwt('a')], [ofJwt('b')], ['test/unit/hostile/tokens.test.ts', ofJwt('deep/c')]]],
    ['src/jwt/other.ts', [[ofJwt('a'), ofJwt('b')], [ofJwt('deep/c')]]],
    ['src/jwt/deep/c.ts', [[ofJwt('deep/c')], [ofJwt('a'), ofJwt('b')]]],
    ['src/d.ts', [['test/property/d.test.ts']]],
    ['src/none/a.ts', []],
  ];
  for (const [path, groups] of cases) {
    it(`are ${groups.length} groups for ${path}`, () =>
      withDirectory(files, async (directory) => {
        expect(testsOf(directory, path)).to.deep.equal(groups);
      }));
  }
});
