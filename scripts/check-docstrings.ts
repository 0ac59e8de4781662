/*
 * Part of `npm run check`: every export of `src` has a doc comment. `node scripts/check-docstrings.ts [PATH…]` lists those
 * without one below the paths; without a path it checks all of `src`, except the files that have not changed since it passed.
 */
import { join } from 'node:path';
import { lastPass, passOf, recordPass } from './check/last-pass.ts';
import { readSources } from './dependencies/read-sources.ts';

const paths = process.argv.slice(2).map((path) => path.replace(/^\.\/|\/$/g, ''));
const sources = readSources(join(import.meta.dirname, '..'));
const now = passOf(sources, ['scripts/docstrings/find-undocumented.ts', 'package-lock.json']);
const passed = paths.length > 0 ? {} : (lastPass('docstrings', now) ?? {});
const wanted = [...sources].filter(
  ([path]) =>
    passed[path] !== now.files[path] && (paths.length === 0 || paths.some((part) => path === part || path.startsWith(`${part}/`))),
);

let all = 0;
let missing = 0;
if (wanted.length > 0) {
  const { exportsOf } = await import('./docstrings/find-undocumented.ts');
  for (const [path, source] of wanted) {
    for (const { name, line, isDocumented } of exportsOf(path, source)) {
      all += 1;
      if (isDocumented) continue;
      missing += 1;
      process.stdout.write(`${path}:${line}: ${name} has no doc comment\n`);
    }
  }
}
if (missing > 0) process.stdout.write(`${missing} of ${all} exports without a doc comment\n`);
else if (paths.length === 0) recordPass('docstrings', now);
process.exitCode = missing === 0 ? 0 : 1;
