/*
 * Which unit tests should notice a change of a source file.
 */
import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Groups of test files of the source file `path`, to be run one after the other until one fails: the mirrored file, then all files of its
 * directory.
 * @param root directory of the project
 */
export function mirroredTests(root: string, path: string): readonly (readonly string[])[] {
  const mirrored = path.replace(/^src\//, 'test/unit/').replace(/\.ts$/, '.test.ts');
  const neighbours = globSync(join(dirname(mirrored), '*.test.ts'), { cwd: root })
    .sort()
    .filter((file) => file !== mirrored);
  return [existsSync(join(root, mirrored)) ? [mirrored] : [], neighbours].filter((group) => group.length > 0);
}
