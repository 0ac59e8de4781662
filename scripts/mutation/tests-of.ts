/*
 * Which unit tests should notice a change of a source file.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Groups of test files of the source file `path`, to be run one after the other until one fails: the mirrored file, then the files of its
 * directory, then those of its package, and those of other packages that import it.
 * @param root directory of the project
 */
export function testsOf(root: string, path: string): readonly (readonly string[])[] {
  const mirrored = path.replace(/^src\//, 'test/unit/').replace(/\.ts$/, '.test.ts');
  const directory = dirname(mirrored);
  const ofPackage = `${mirrored.split('/').slice(0, 3).join('/')}/`;
  const all = globSync('test/{unit,property}/**/*.test.ts', { cwd: root }).sort();
  const isNeighbour = (file: string): boolean => dirname(file) === directory;
  const others = all.filter((file) => file !== mirrored && !isNeighbour(file));
  return [
    all.filter((file) => file === mirrored),
    all.filter((file) => file !== mirrored && isNeighbour(file)),
    others.filter((file) => file.startsWith(ofPackage) || imports(root, file, path)),
  ].filter((group) => group.length > 0);
}

function imports(root: string, file: string, path: string): boolean {
  const specifiers = readFileSync(join(root, file), 'utf8').matchAll(/ from '(\.[^']+)'/g);
  return [...specifiers].some(([, specifier = '']) => join(dirname(file), specifier) === path);
}
