/*
 * Part of `npm run check`: every export of `src` has a doc comment. `node scripts/check-docstrings.ts [PATH…]` lists those
 * without one below the paths; without a path it checks all of `src`.
 */
import { join } from 'node:path';
import { readSources } from './dependencies/read-sources.ts';
import { exportsOf } from './docstrings/find-undocumented.ts';

const paths = process.argv.slice(2).map((path) => path.replace(/^\.\/|\/$/g, ''));
let all = 0;
let missing = 0;
for (const [path, source] of readSources(join(import.meta.dirname, '..'))) {
  if (paths.length > 0 && !paths.some((wanted) => path === wanted || path.startsWith(`${wanted}/`))) continue;
  for (const { name, line, isDocumented } of exportsOf(path, source)) {
    all += 1;
    if (isDocumented) continue;
    missing += 1;
    process.stdout.write(`${path}:${line}: ${name} has no doc comment\n`);
  }
}
if (missing > 0) process.stdout.write(`${missing} of ${all} exports without a doc comment\n`);
process.exitCode = missing === 0 ? 0 : 1;
