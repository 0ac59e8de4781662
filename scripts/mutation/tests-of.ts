/*
 * Which unit tests should notice a change of a source file.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The test files of a project. It must not change. */
export class TestFiles {
  readonly #root: string;
  readonly #all: readonly string[];
  /** What each file that was asked about imports, in one step. */
  readonly #imports = new Map<string, readonly string[]>();
  readonly #digests = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
    this.#all = globSync('test/{unit,property}/**/*.test.ts', { cwd: root }).sort();
  }

  /**
   * Groups of test files of the source file `path`, to be run one after the other until one fails: the mirrored file; the files of its
   * directory that reach it by imports; those of its package, and those of other packages that import it themselves; property tests.
   */
  groupsOf(path: string): readonly (readonly string[])[] {
    const mirrored = path.replace(/^src\//, 'test/unit/').replace(/\.ts$/, '.test.ts');
    const ofPackage = `${mirrored.split('/').slice(0, 3).join('/')}/`;
    const isNeighbour = (file: string): boolean => dirname(file) === dirname(mirrored);
    const properties = this.#all.filter((file) => file.startsWith('test/property/') && this.#reaches(file, path));
    const others = this.#all.filter((file) => file.startsWith('test/unit/') && file !== mirrored);
    const inPackage = others.filter((file) => file.startsWith(ofPackage) && this.#reaches(file, path));
    return [
      this.#all.filter((file) => file === mirrored),
      inPackage.filter(isNeighbour),
      others.filter((file) => !isNeighbour(file) && (inPackage.includes(file) || this.#importsOf(file).includes(path))),
      properties,
    ].filter((group) => group.length > 0);
  }

  /** Digest of a test file and of all files of the project that it imports. */
  digestOf(file: string): string {
    const known = this.#digests.get(file);
    if (known !== undefined) return known;
    const digest = digestOfFiles(this.#root, [...this.#reachedBy(file)].sort());
    this.#digests.set(file, digest);
    return digest;
  }

  #reaches(file: string, path: string): boolean {
    return this.#reachedBy(file).has(path);
  }

  #reachedBy(file: string): ReadonlySet<string> {
    const reached = new Set([file]);
    for (const at of reached) for (const imported of this.#importsOf(at)) reached.add(imported);
    return reached;
  }

  #importsOf(file: string): readonly string[] {
    const known = this.#imports.get(file);
    if (known !== undefined) return known;
    const text = existsSync(join(this.#root, file)) ? readFileSync(join(this.#root, file), 'utf8') : '';
    const specifiers = [...text.matchAll(/(?: from |import\(|^import )'(\.[^']+)'/gm)];
    const imported = specifiers.map(([, specifier = '']) => join(dirname(file), specifier));
    this.#imports.set(file, imported);
    return imported;
  }
}

/** One digest of the names and contents of `files`. */
export function digestOfFiles(root: string, files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) if (existsSync(join(root, file))) hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}
