/*
 * The sources of an earlier version, from the history of the repository, to run next to the present ones.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Sources in a temporary directory. */
export interface EarlierVersion {
  readonly root: string;
  readonly remove: () => void;
}

/** The tree of a commit with the present npm packages; undefined: the history does not reach back to it, as in a shallow clone. */
export function earlierVersion(commit: string): EarlierVersion | undefined {
  try {
    execFileSync('git', ['-C', ROOT, 'cat-file', '-e', `${commit}^{commit}`], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const root = mkdtempSync(join(tmpdir(), 'sallyport-earlier-'));
  const archive = execFileSync('git', ['-C', ROOT, 'archive', commit, 'src', 'manifests', 'package.json', 'Dockerfile.agent'], {
    maxBuffer: 256 * 1024 * 1024,
  });
  execFileSync('tar', ['-x', '-C', root], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}
