/*
 * Part of `npm run check`: no banned phrase in comments, messages, docs, change fragments and test names.
 * `node scripts/check-prose.ts [PATH…]` lists the findings below those paths; without a path it checks the whole project.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findBanned, mayContainBanned, type ProseFinding } from './prose/find-banned.ts';

const root = join(import.meta.dirname, '..');
/** Recorded data, texts of others, generated files (their sources are checked), and the list of phrases itself. */
const EXCLUDED =
  /^(LICENSE|package-lock\.json|node_modules\/|dist\/|test\/conformance\/(cases|random|found)\/|scripts\/prose\/banned-phrases\.ts$)/;

/** Tracked and new files of the project, without the ignored ones. */
function projectFiles(paths: readonly string[]): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...paths], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed.split('\n').filter((path) => path !== '' && !EXCLUDED.test(path));
}

const findings: ProseFinding[] = [];
for (const path of new Set(projectFiles(process.argv.slice(2)))) {
  let source: string;
  try {
    source = readFileSync(join(root, path), 'utf8');
  } catch {
    // Deleted and not yet committed.
    continue;
  }
  if (mayContainBanned(source)) findings.push(...findBanned(path, source).findings);
}
const lines = findings.map(({ path, line, phrase, instead }) => `${path}:${line}: "${phrase}": write ${instead}\n`);
if (findings.length > 0) process.stdout.write(`${lines.join('')}${findings.length} banned phrases; the rule is in CONTRIBUTING.md\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
