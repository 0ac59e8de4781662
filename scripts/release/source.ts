/*
 * The tree that a release is made from.
 */
import { join } from 'node:path';
import { run } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A commit, and whether files differ from it. */
export interface Source {
  readonly commit: string;
  /** Seconds since 1970: of `SOURCE_DATE_EPOCH`, else of the commit. */
  readonly created: number;
  readonly isDirty: boolean;
}

/** Reads the state of the working tree. @throws Error when it is not a repository of git, or SOURCE_DATE_EPOCH is not a number */
export async function readSource(): Promise<Source> {
  const [commit = '', time = ''] = (await run('git', ['log', '-1', '--format=%H %ct'], ROOT)).trim().split(' ');
  const epoch = process.env['SOURCE_DATE_EPOCH'] || time;
  if (!/^\d{1,10}$/.test(epoch)) throw new Error(`SOURCE_DATE_EPOCH: "${epoch}" is not a number of seconds`);
  const changed = await run('git', ['status', '--porcelain'], ROOT);
  return { commit, created: Number(epoch), isDirty: changed !== '' };
}
