/*
 * Remembers which files a step of `npm run check` last passed with, so that it can skip the files that have not changed.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileHashes } from './affected-files.ts';

const root = join(import.meta.dirname, '../..');

/** What a step passed with. */
export interface Pass {
  /** Hash of the files that may change the result for every other file. */
  readonly settings: string;
  readonly files: FileHashes;
}

/** Hashes of files and settings. @param settings paths from the project's root */
export function passOf(sources: ReadonlyMap<string, string>, settings: readonly string[]): Pass {
  return {
    settings: sha256(settings.map((path) => readFileSync(join(root, path), 'utf8')).join('\0')),
    files: Object.fromEntries([...sources].map(([path, text]) => [path, sha256(text)])),
  };
}

/** The files of the last pass of a step; undefined when it has not passed with the settings of `now`. */
export function lastPass(step: string, now: Pass): FileHashes | undefined {
  try {
    const last = JSON.parse(readFileSync(recordOf(step), 'utf8')) as Pass;
    return last.settings === now.settings ? last.files : undefined;
  } catch {
    // No run has passed yet, or an interrupted one left half a file: check everything.
    return undefined;
  }
}

/** Records that a step passed. */
export function recordPass(step: string, pass: Pass): void {
  mkdirSync(dirname(recordOf(step)), { recursive: true });
  writeFileSync(recordOf(step), JSON.stringify(pass));
}

function recordOf(step: string): string {
  return join(root, 'node_modules/.cache/check', `${step}.json`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
