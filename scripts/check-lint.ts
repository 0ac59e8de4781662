/*
 * The lint step of `npm run check`. Rules that need no types run on every file; rules that do (most of the time that lint
 * takes) run on the files that changed since lint last passed, and on the files that import those, directly or not.
 * `node scripts/check-lint.ts --all` runs both on every file, as `npm test` and a first run do.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { affectedFiles, type FileHashes } from './check/affected-files.ts';
import { readSources } from './dependencies/read-sources.ts';

const root = join(import.meta.dirname, '..');
const record = join(root, 'node_modules/.cache/check/lint.json');
/** A change of one of these may change the result for every file. */
const SETTINGS = ['.oxlintrc.json', 'tsconfig.json', 'package-lock.json'];

interface LintRecord {
  readonly settings: string;
  readonly files: FileHashes;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

function readRecord(): LintRecord | undefined {
  try {
    return JSON.parse(readFileSync(record, 'utf8')) as LintRecord;
  } catch {
    // No run has passed yet, or an interrupted one left half a file: lint everything.
    return undefined;
  }
}

function oxlint(...args: readonly string[]): boolean {
  return spawnSync('oxlint', ['--deny-warnings', ...args], { cwd: root, stdio: 'inherit' }).status === 0;
}

const sources = new Map(['src', 'test', 'scripts', 'examples'].flatMap((directory) => [...readSources(root, directory)]));
const settings = sha256(SETTINGS.map((name) => readFileSync(join(root, name), 'utf8')).join('\0'));
const files = Object.fromEntries([...sources].map(([path, text]) => [path, sha256(text)]));
const last = process.argv.includes('--all') ? undefined : readRecord();
const affected = last?.settings === settings ? affectedFiles(sources, last.files, files) : undefined;

// Beyond a third of the files, one run over everything is faster than two.
const isFull = affected === undefined || affected.length > sources.size / 3;
const isClean = isFull ? oxlint('--type-aware') : oxlint() && (affected.length === 0 || oxlint('--type-aware', ...affected));
if (isClean) {
  mkdirSync(join(record, '..'), { recursive: true });
  writeFileSync(record, JSON.stringify({ settings, files } satisfies LintRecord));
}
process.exitCode = isClean ? 0 : 1;
