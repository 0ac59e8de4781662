/*
 * The format step of `npm run check`: biome on the files that changed since it last passed. With `--all`, and on a first
 * run, on every file.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastPass, passOf, recordPass } from './check/last-pass.ts';

const root = join(import.meta.dirname, '..');
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', '*.ts', '*.mjs', '*.json'], {
  cwd: root,
  encoding: 'utf8',
});
const paths = [...new Set(listed.split('\n'))].filter(
  (path) =>
    path !== '' &&
    !path.startsWith('test/conformance/cases/') &&
    !path.startsWith('test/conformance/random/') &&
    existsSync(join(root, path)),
);
const now = passOf(new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])), ['biome.json', 'package-lock.json']);
const before = process.argv.includes('--all') ? undefined : lastPass('format', now);
const changed = before === undefined ? ['.'] : paths.filter((path) => before[path] !== now.files[path]);

const biome = ['check', '--no-errors-on-unmatched', ...changed];
const isClean = changed.length === 0 || spawnSync('biome', biome, { cwd: root, stdio: 'inherit' }).status === 0;
if (isClean) recordPass('format', now);
process.exitCode = isClean ? 0 : 1;
