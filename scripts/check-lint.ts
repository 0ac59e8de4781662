/*
 * The lint step of `npm run check`. Rules that need no types run on every file; rules that do (most of the time that lint
 * takes) run on the files that changed since lint last passed, and on the files that import those, directly or not.
 * With `--all`, and on a first run, both run on every file.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { affectedFiles } from './check/affected-files.ts';
import { lastPass, passOf, recordPass } from './check/last-pass.ts';
import { readSources } from './dependencies/read-sources.ts';

const root = join(import.meta.dirname, '..');

function oxlint(...args: readonly string[]): boolean {
  return spawnSync('oxlint', ['--deny-warnings', ...args], { cwd: root, stdio: 'inherit' }).status === 0;
}

const sources = new Map(['src', 'test', 'scripts', 'examples'].flatMap((directory) => [...readSources(root, directory)]));
const now = passOf(sources, ['.oxlintrc.json', 'tsconfig.json', 'package-lock.json']);
const before = process.argv.includes('--all') ? undefined : lastPass('lint', now);
const affected = before === undefined ? undefined : affectedFiles(sources, before, now.files);

// Beyond a third of the files, one run over everything is faster than two.
const isFull = affected === undefined || affected.length > sources.size / 3;
const isClean = isFull ? oxlint('--type-aware') : oxlint() && (affected.length === 0 || oxlint('--type-aware', ...affected));
if (isClean) recordPass('lint', now);
process.exitCode = isClean ? 0 : 1;
