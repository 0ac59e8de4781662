/*
 * Part of `npm run check`: no banned phrase in comments, messages, docs, change fragments and test names.
 * `node scripts/check-prose.ts [PATH…]` lists the findings below those paths; without a path it checks the whole project,
 * except the files that have not changed since it passed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastPass, passOf, recordPass } from './check/last-pass.ts';
import type { ProseFinding } from './prose/find-banned.ts';

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

/** Text by path, without the files that are deleted and not yet committed. */
function readAll(paths: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const path of new Set(paths)) if (existsSync(join(root, path))) texts.set(path, readFileSync(join(root, path), 'utf8'));
  return texts;
}

const paths = process.argv.slice(2);
const sources = readAll(projectFiles(paths));
const rules = ['banned-phrases', 'find-banned', 'read-prose'].map((name) => `scripts/prose/${name}.ts`);
const now = passOf(sources, [...rules, 'package-lock.json']);
const passed = paths.length > 0 ? {} : (lastPass('prose', now) ?? {});
const wanted = [...sources].filter(([path]) => passed[path] !== now.files[path]);

const findings: ProseFinding[] = [];
if (wanted.length > 0) {
  const { findBanned, mayContainBanned } = await import('./prose/find-banned.ts');
  for (const [path, source] of wanted) if (mayContainBanned(source)) findings.push(...findBanned(path, source).findings);
}
const lines = findings.map(({ path, line, phrase, instead }) => `${path}:${line}: "${phrase}": write ${instead}\n`);
if (findings.length > 0) process.stdout.write(`${lines.join('')}${findings.length} banned phrases; the rule is in CONTRIBUTING.md\n`);
else if (paths.length === 0) recordPass('prose', now);
process.exitCode = findings.length === 0 ? 0 : 1;
