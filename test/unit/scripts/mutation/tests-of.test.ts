import { expect } from 'chai';
import { TestFiles } from '../../../../scripts/mutation/tests-of.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const FILES = {
  'src/jwt/a.ts': '',
  'src/jwt/uses-a.ts': "import { a } from './a.ts';",
  'src/http/uses-a.ts': "import { a } from '../jwt/a.ts';",
  'test/unit/jwt/a.test.ts': "import { a } from '../../../src/jwt/a.ts';",
  'test/unit/jwt/uses-a.test.ts': "import { b } from '../../../src/jwt/uses-a.ts';",
  'test/unit/jwt/none.test.ts': "import { expect } from 'chai';",
  'test/unit/jwt/deep/helper.ts': "export { a } from '../../../../src/http/uses-a.ts';",
  'test/unit/jwt/deep/c.test.ts': "const { a } = await import('./helper.ts');",
  'test/unit/http/uses-a.test.ts': "import { a } from '../../../src/http/uses-a.ts';",
  'test/property/e.test.ts': "import { a } from '../../src/jwt/uses-a.ts';",
  'test/unit/hostile/d.test.ts': "import { a } from '../../../src/jwt/a.ts';",
};

describe('the tests of a source file', () => {
  const cases: readonly (readonly [path: string, groups: readonly (readonly string[])[]])[] = [
    [
      'src/jwt/a.ts',
      [
        ['test/unit/jwt/a.test.ts'],
        ['test/unit/jwt/uses-a.test.ts'],
        ['test/unit/hostile/d.test.ts', 'test/unit/jwt/deep/c.test.ts'],
        ['test/property/e.test.ts'],
      ],
    ],
    ['src/jwt/uses-a.ts', [['test/unit/jwt/uses-a.test.ts'], ['test/property/e.test.ts']]],
    ['src/http/uses-a.ts', [['test/unit/http/uses-a.test.ts']]],
    ['src/none/a.ts', []],
  ];
  for (const [path, groups] of cases) {
    it(`are ${groups.flat().length} in ${groups.length} groups for ${path}`, () =>
      withDirectory(FILES, async (directory) => {
        expect(new TestFiles(directory).groupsOf(path)).to.deep.equal(groups);
      }));
  }
});
